//! Why a root has no documents: it is gone, `where` leaves it out, or it is not its time.

use super::load::Row;

/// When no moment is known that bounds a time; `infinity` is beyond it.
const BEYOND: i64 = 9_000_000_000_000_000_000;

/// What is known of a root beside its documents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub exists: bool,
    /// It meets `where`, and it is its time.
    pub shows: bool,
    /// The next moment at which time alone changes that.
    pub due: Option<i64>,
    /// A moment of `visible` cannot be read.
    pub unreadable: bool,
}

/// Takes the columns of [`crate::plan::RootSelect::standing`] off a row.
pub(super) fn take(row: &mut Row) -> Standing {
    let tail = row.split_off(row.len().saturating_sub(4));
    let [meets, from, until, now] = tail.as_slice() else {
        return Standing::default();
    };
    let unreadable = [from, until].into_iter().flatten().any(|text| text == "?");
    let moment = |text: &Option<String>| text.as_ref().and_then(|text| text.parse().ok());
    let (from, until, now): (Option<i64>, Option<i64>, i64) =
        (moment(from), moment(until), moment(now).unwrap_or_default());
    let open = from.is_none_or(|from| from <= now) && until.is_none_or(|until| now < until);
    let later = |moment: &i64| *moment > now && *moment < BEYOND;
    Standing {
        exists: true,
        shows: open && meets.as_deref() == Some("1"),
        due: [from, until].into_iter().flatten().filter(later).min(),
        unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(meets: &str, from: &str, until: &str) -> (bool, Option<i64>) {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let mut row = vec![text("own"), text(meets), text(from), text(until), text("100")];
        let standing = take(&mut row);
        assert_eq!(row, [text("own")]);
        assert!(standing.exists);
        (standing.shows, standing.due)
    }

    #[test]
    fn from_is_the_first_moment_and_until_the_first_after() {
        assert_eq!(standing("1", "", ""), (true, None));
        assert_eq!(standing("1", "100", ""), (true, None));
        assert_eq!(standing("1", "101", ""), (false, Some(101)));
        assert_eq!(standing("1", "", "101"), (true, Some(101)));
        assert_eq!(standing("1", "", "100"), (false, None));
        assert_eq!(standing("1", "50", "200"), (true, Some(200)));
        assert_eq!(standing("1", "150", "200"), (false, Some(150)));
        assert_eq!(standing("1", "200", "150"), (false, Some(150)), "never shown");
        assert_eq!(standing("0", "50", "200"), (false, Some(200)));
    }

    #[test]
    fn infinity_never_comes() {
        let far = BEYOND.to_string();
        assert_eq!(standing("1", &far, ""), (false, None));
        assert_eq!(standing("1", "", &far), (true, None));
        assert_eq!(standing("1", &format!("-{far}"), ""), (true, None));
    }

    #[test]
    fn what_is_no_date_is_told() {
        let mut row = [Some("1"), Some("?"), None, Some("100")]
            .map(|t| t.map(str::to_owned))
            .to_vec();
        assert!(take(&mut row).unreadable);
    }
}
