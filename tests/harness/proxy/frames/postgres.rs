//! PostgreSQL's protocol 3: a startup without a letter, then messages of a letter and a length.

use super::{First, Side, number};

const SSL_REQUEST: usize = 80_877_103;

pub(super) fn first(bytes: &[u8], begun: bool, side: Side) -> First {
    match side {
        Side::Client if !begun => Ok(startup(bytes)),
        // The answer to an SSLRequest is one letter. No server begins with a notice or a parameter.
        Side::Server if !begun && matches!(bytes[0], b'N' | b'S') => Ok(Some((1, "ssl answer".to_owned()))),
        _ => Ok(message(bytes)),
    }
}

fn startup(bytes: &[u8]) -> Option<(usize, String)> {
    let (length, code) = (number(bytes, 0)?, number(bytes, 4)?);
    let name = if code == SSL_REQUEST {
        "ssl request"
    } else {
        "startup"
    };
    (bytes.len() >= length).then(|| (length, name.to_owned()))
}

fn message(bytes: &[u8]) -> Option<(usize, String)> {
    let end = 1 + number(bytes, 1)?;
    (bytes.len() >= end).then(|| (end, name(&bytes[..end])))
}

/// The letter, with the first word of a statement or of what was done.
fn name(message: &[u8]) -> String {
    let letter = char::from(message[0]);
    let text = match letter {
        'Q' | 'C' => &message[5..],
        // A name, then the statement.
        'P' => {
            let end = message[5..].iter().position(|byte| *byte == 0);
            end.map_or(&message[5..], |end| &message[5 + end + 1..])
        }
        _ => return letter.to_string(),
    };
    let text = String::from_utf8_lossy(text);
    let word = text
        .split(|c: char| !c.is_ascii_alphabetic())
        .find(|word| !word.is_empty());
    format!("{letter} {}", word.unwrap_or_default().to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::super::{Protocol, Side, tests::assert_frames};

    fn message(letter: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len() + 4).unwrap();
        [&[letter][..], &length.to_be_bytes(), payload].concat()
    }

    #[test]
    fn a_session_of_a_client() {
        let stream = [
            vec![0, 0, 0, 8, 4, 210, 22, 47],
            vec![0, 0, 0, 9, 0, 3, 0, 0, 0],
            message(b'p', b"secret\0"),
            message(b'Q', b"commit\0"),
            message(b'P', b"s1\0  SELECT 1\0\0\0"),
            message(b'S', b""),
        ];
        let names = ["ssl request", "startup", "p", "Q COMMIT", "P SELECT", "S"];
        assert_frames(Protocol::Postgres, Side::Client, &stream.concat(), &names);
    }

    #[test]
    fn answers_of_a_server() {
        let stream = [
            b"N".to_vec(),
            message(b'R', &[0, 0, 0, 0]),
            message(b'C', b"COMMIT\0"),
            message(b'N', b"notice"),
            message(b'Z', b"I"),
        ];
        let names = ["ssl answer", "R", "C COMMIT", "N", "Z"];
        assert_frames(Protocol::Postgres, Side::Server, &stream.concat(), &names);
    }
}
