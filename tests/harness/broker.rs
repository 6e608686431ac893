//! The virtual host of one test, through the management API of RabbitMQ.

use reqwest::Method;

use crate::http::Http;

/// A message as somebody published it.
#[derive(Debug, Clone)]
pub struct Tapped {
    pub queue: String,
    pub properties: serde_json::Value,
    /// In base64.
    pub payload: String,
}

impl Tapped {
    fn read(traced: &serde_json::Value) -> Option<Self> {
        let headers = &traced["properties"]["headers"];
        Some(Self {
            queue: headers["routing_keys"][0].as_str()?.to_owned(),
            properties: headers["properties"].clone(),
            payload: traced["payload"].as_str()?.to_owned(),
        })
    }
}

#[derive(Debug, Clone)]
pub struct VirtualHost {
    http: Http,
    name: String,
    user: String,
}

impl VirtualHost {
    pub(crate) async fn create(api: &str, name: &str) -> Self {
        let user = api
            .split_once("://")
            .and_then(|(_, rest)| rest.split_once([':', '@']))
            .map(|(user, _)| user);
        let user = user.unwrap_or_else(|| panic!("{api} names no user")).to_owned();
        let host = Self {
            http: Http::new(api),
            name: name.to_owned(),
            user,
        };
        host.put().await;
        host
    }

    async fn put(&self) {
        self.send(Method::PUT, format!("/api/vhosts/{}", self.name), None)
            .await;
        let rights = r#"{"configure":".*","write":".*","read":".*"}"#.to_owned();
        self.send(
            Method::PUT,
            format!("/api/permissions/{}/{}", self.name, self.user),
            Some(rights),
        )
        .await;
    }

    /// The virtual host with all its queues, messages and connections is gone.
    pub async fn delete(&self) {
        self.send(Method::DELETE, format!("/api/vhosts/{}", self.name), None)
            .await;
    }

    /// Deleted and made again, empty.
    pub async fn recreate(&self) {
        self.delete().await;
        self.put().await;
    }

    /// Queues by name, with the messages in each (ready and unacknowledged; up to five seconds old).
    pub async fn queues(&self) -> Vec<(String, u64)> {
        let path = format!("/api/queues/{}?columns=name,messages", self.name);
        let text = self
            .send(Method::GET, path, None)
            .await
            .unwrap_or_else(|| "[]".to_owned());
        let queues: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list of queues");
        let entry = |queue: &serde_json::Value| {
            (
                queue["name"].as_str().expect("a queue has a name").to_owned(),
                queue["messages"].as_u64().unwrap_or(0),
            )
        };
        queues.iter().map(entry).collect()
    }

    /// The bodies of what is ready in all queues. It stays there, but counts as handed out once more.
    pub async fn messages(&self) -> Vec<String> {
        let mut bodies = Vec::new();
        for (queue, _) in self.queues().await {
            let queue = queue.replace('%', "%25").replace('/', "%2F").replace(' ', "%20");
            let path = format!("/api/queues/{}/{queue}/get", self.name);
            let all = r#"{"count":1000000,"ackmode":"ack_requeue_true","encoding":"auto"}"#;
            let text = self.send(Method::POST, path, Some(all.to_owned())).await;
            let found: Vec<serde_json::Value> =
                serde_json::from_str(&text.expect("the queue is there")).expect("a list of messages");
            let body = |message: &serde_json::Value| message["payload"].as_str().map(str::to_owned);
            bodies.extend(found.iter().map(|message| body(message).expect("a text")));
        }
        bodies
    }

    /// Takes all ready messages away. Returns how many queues there were.
    pub async fn purge_queues(&self) -> usize {
        self.each_queue("/contents").await
    }

    /// Deletes all queues with their messages. Returns how many there were.
    pub async fn delete_queues(&self) -> usize {
        self.each_queue("").await
    }

    /// Deletes one queue, or with `/contents` what is ready in it.
    async fn empty(&self, queue: &str, suffix: &str) {
        let queue = queue.replace('%', "%25").replace('/', "%2F").replace(' ', "%20");
        let path = format!("/api/queues/{}/{queue}{suffix}", self.name);
        self.send(Method::DELETE, path, None).await;
    }

    /// Deletes a queue with its messages.
    pub async fn delete_queue(&self, queue: &str) {
        self.empty(queue, "").await;
    }

    /// Takes the ready messages of a queue away.
    pub async fn purge_queue(&self, queue: &str) {
        self.empty(queue, "/contents").await;
    }

    /// Closes all connections to this virtual host. Returns how many there were (as the API knows them: up to five
    /// seconds late).
    pub async fn close_connections(&self) -> usize {
        let path = format!("/api/vhosts/{}/connections?columns=name", self.name);
        let text = self
            .send(Method::GET, path, None)
            .await
            .unwrap_or_else(|| "[]".to_owned());
        let connections: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list of connections");
        for connection in &connections {
            let name = connection["name"].as_str().expect("a connection has a name");
            let name = name.replace(' ', "%20").replace('>', "%3E");
            self.send(Method::DELETE, format!("/api/connections/{name}"), None)
                .await;
        }
        connections.len()
    }

    /// Lets another user, which need not be known yet, do everything here.
    pub async fn admit(&self, user: &str, password: &str) {
        let body = serde_json::json!({ "password": password, "tags": "" }).to_string();
        self.send(Method::PUT, format!("/api/users/{user}"), Some(body))
            .await;
        let rights = r#"{"configure":".*","write":".*","read":".*"}"#.to_owned();
        let path = format!("/api/permissions/{}/{user}", self.name);
        self.send(Method::PUT, path, Some(rights)).await;
    }

    /// Takes a user away.
    pub async fn dismiss(&self, user: &str) {
        self.send(Method::DELETE, format!("/api/users/{user}"), None)
            .await;
    }

    /// From now on the broker copies every message that is published here into a queue of this name, the last so many.
    pub async fn tap(&self, queue: &str, most: u32) {
        let (name, arguments) = (&self.name, serde_json::json!({ "x-max-length": most }));
        let body = serde_json::json!({ "durable": true, "arguments": arguments }).to_string();
        self.send(Method::PUT, format!("/api/queues/{name}/{queue}"), Some(body))
            .await;
        let path = format!("/api/bindings/{name}/e/amq.rabbitmq.trace/q/{queue}");
        let body = r#"{"routing_key":"publish.#"}"#.to_owned();
        self.send(Method::POST, path, Some(body)).await;
        self.trace(true).await;
    }

    /// Ends what [`Self::tap`] began, and gives what it copied.
    pub async fn untap(&self, queue: &str) -> Vec<Tapped> {
        self.trace(false).await;
        let path = format!("/api/queues/{}/{queue}/get", self.name);
        let body = r#"{"count":100000,"ackmode":"ack_requeue_false","encoding":"base64"}"#.to_owned();
        let text = self.send(Method::POST, path, Some(body)).await;
        self.delete_queue(queue).await;
        let messages: Vec<serde_json::Value> =
            serde_json::from_str(text.as_deref().unwrap_or("[]")).expect("a list of messages");
        messages.iter().filter_map(Tapped::read).collect()
    }

    async fn trace(&self, on: bool) {
        let body = serde_json::json!({ "tracing": on }).to_string();
        self.send(Method::PUT, format!("/api/vhosts/{}", self.name), Some(body))
            .await;
    }

    /// Publishes a message as it was published before. Where its queue is gone, the message is too.
    pub async fn publish(&self, message: &Tapped) {
        let body = serde_json::json!({
            "properties": message.properties,
            "routing_key": message.queue,
            "payload": message.payload,
            "payload_encoding": "base64",
        });
        let path = format!("/api/exchanges/{}/amq.default/publish", self.name);
        self.send(Method::POST, path, Some(body.to_string())).await;
    }

    async fn each_queue(&self, suffix: &str) -> usize {
        let queues = self.queues().await;
        for (queue, _) in &queues {
            self.empty(queue, suffix).await;
        }
        queues.len()
    }

    async fn send(&self, method: Method, path: String, body: Option<String>) -> Option<String> {
        self.http.send(method, &path, body).await
    }
}
