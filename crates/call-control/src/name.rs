//! Display names of users and groups.

use serde::Deserialize;
use utoipa::ToSchema;

/// One line of 1 to 100 characters, not all of them blank. Blanks around it are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 100,
    pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$",
    example = "Ada"
)]
pub struct DisplayName(String);

#[derive(Debug, thiserror::Error)]
#[error("a name is one line of 1 to 100 characters")]
pub struct InvalidName;

impl TryFrom<String> for DisplayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let name = text.trim();
        let is_one_line = !text.chars().any(char::is_control);
        let fits = !name.is_empty() && text.chars().count() <= MAX_LENGTH;
        if is_one_line && fits { Ok(Self(name.to_owned())) } else { Err(InvalidName) }
    }
}

impl DisplayName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a display name of any text: drops control characters and shortens it. `None` if nothing is left.
pub(crate) fn shorten(text: &str) -> Option<String> {
    let printable: String =
        text.trim().chars().filter(|letter| !letter.is_control()).take(MAX_LENGTH).collect();
    (!printable.is_empty()).then_some(printable)
}

/// Maximum length of a name, in characters.
const MAX_LENGTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_bearable_length() {
        assert_eq!(DisplayName::try_from(" Ada ".to_owned()).unwrap().as_str(), "Ada");
        for bad in ["", "  ", "a\nb", "Ada\n", "\0", &"x".repeat(101), &" ".repeat(101)] {
            assert!(DisplayName::try_from(bad.to_owned()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_foreign_name_is_cut_to_fit() {
        assert_eq!(shorten(" A\u{7}da\n").as_deref(), Some("Ada"));
        assert_eq!(shorten(&"é".repeat(200)).unwrap().chars().count(), 100);
        assert_eq!(shorten("\u{7}"), None);
    }
}
