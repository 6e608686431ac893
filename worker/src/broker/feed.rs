//! The two ends of a subscription: [`Subscription`] with the consumer, [`Feed`] with the task behind it.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{BrokerError, Delivery, Settlement, Subscription};

/// The broker's end of a subscription, held by the task that serves it.
pub(super) struct Feed {
    /// Has room for every delivery that `prefetch` allows and for the closing error, so sending never waits.
    deliveries: mpsc::Sender<Result<Delivery, BrokerError>>,
    settle: mpsc::UnboundedSender<(u64, Settlement)>,
    /// What the consumer decided, in order. Never ends by itself: the feed holds a sender.
    pub(super) settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    /// Cancelled when the consumer drops its subscription.
    pub(super) dropped: CancellationToken,
}

/// Makes both ends. `prefetch` bounds the deliveries that are out unsettled.
pub(super) fn subscription(prefetch: u16) -> (Subscription, Feed) {
    let (deliveries_in, deliveries) = mpsc::channel(usize::from(prefetch) + 1);
    let (settle, settlements) = mpsc::unbounded_channel();
    let dropped = CancellationToken::new();
    let subscription = Subscription {
        deliveries,
        _cancel: dropped.clone().drop_guard(),
    };
    (
        subscription,
        Feed {
            deliveries: deliveries_in,
            settle,
            settlements,
            dropped,
        },
    )
}

impl Feed {
    /// Hands a delivery to the consumer. False where the consumer is gone; the delivery is then as good as
    /// never handed out, and the caller puts it back.
    pub(super) fn deliver(&self, tag: u64, body: Vec<u8>, redelivered: bool, trace: Option<String>) -> bool {
        let delivery = Delivery {
            body,
            redelivered,
            trace,
            tag,
            settle: Some(self.settle.clone()),
        };
        self.deliveries.try_send(Ok(delivery)).is_ok()
    }

    /// The consumer is gone. Known a little before `dropped`, and before the requeues of what was still in the
    /// buffer arrive: carrying those out would only send them back here.
    pub(super) fn abandoned(&self) -> bool {
        self.deliveries.is_closed()
    }

    /// Ends the subscription with an error, the last thing that the consumer sees.
    pub(super) fn fail(self, error: BrokerError) {
        // A consumer that is gone needs no error.
        let _ = self.deliveries.try_send(Err(error));
    }
}
