//! Display names of users and groups.

use serde::Deserialize;
use utoipa::ToSchema;

/// One line of 1 to 100 characters, of which something can be seen. Blanks around it and characters that show
/// nothing (Unicode's category Cf, line separators) are dropped.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 100,
    // The second class leaves out what shows nothing in the Basic Multilingual Plane.
    pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$",
    example = "Ada"
)]
pub struct DisplayName(String);

#[derive(Debug, thiserror::Error)]
#[error("a name is one line of 1 to 100 characters, of which something can be seen")]
pub struct InvalidName;

impl TryFrom<String> for DisplayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let is_one_line = !text.chars().any(char::is_control);
        if !is_one_line || text.chars().count() > MAX_LENGTH {
            return Err(InvalidName);
        }
        visible(&text).map(Self).ok_or(InvalidName)
    }
}

impl DisplayName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a display name of any text: drops what shows nothing, and shortens it. `None` if nothing is left.
pub(crate) fn shorten(text: &str) -> Option<String> {
    let shown = visible(text)?;
    // The cut may leave a blank at the end, or only blank letters.
    visible(&shown.chars().take(MAX_LENGTH).collect::<String>())
}

/// The text without hidden characters and without blanks around it. `None` if nothing can be seen of it.
fn visible(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().filter(|letter| !is_hidden(*letter)).collect();
    let joins = |at: usize| is_joiner(letters[at]) && is_joined(&letters, at);
    let kept = letters.iter().enumerate().filter(|(at, letter)| !is_joiner(**letter) || joins(*at));
    let name: String = kept.map(|(_, letter)| letter).collect();
    let name = name.trim();
    name.chars().any(|letter| !letter.is_whitespace() && !is_blank(letter)).then(|| name.to_owned())
}

/// Whether a character only changes how others are shown, or ends a line: with such a name a user could look
/// like another one, or turn round the text that follows. These are the control characters, the format
/// characters (category Cf of Unicode) and the line separators.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Zero width non-joiner and joiner. Persian and Indic scripts need them, and emoji of several parts.
const fn is_joiner(letter: char) -> bool {
    matches!(letter, '\u{200c}' | '\u{200d}')
}

/// Whether the joiner stands between letters that it can join: not in ASCII, where it shows nothing.
fn is_joined(letters: &[char], at: usize) -> bool {
    let joinable =
        |letter: Option<&char>| letter.is_some_and(|letter| !letter.is_ascii() && !letter.is_whitespace());
    let (before, after) = (at.checked_sub(1).and_then(|before| letters.get(before)), letters.get(at + 1));
    joinable(before) && joinable(after) && !after.copied().is_some_and(is_joiner)
}

/// Letters that show nothing by themselves: fillers, blanks, joiners and variation selectors.
const fn is_blank(letter: char) -> bool {
    matches!(
        letter,
        '\u{34f}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200c}'..='\u{200d}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}'
    )
}

/// Maximum length of a name, in characters.
const MAX_LENGTH: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Option<String> {
        DisplayName::try_from(text.to_owned()).ok().map(|name| name.as_str().to_owned())
    }

    #[test]
    fn a_name_is_one_line_of_bearable_length() {
        assert_eq!(named(" Ada ").as_deref(), Some("Ada"));
        for bad in ["", "  ", "a\nb", "Ada\n", "\0", &"x".repeat(101), &" ".repeat(101)] {
            assert_eq!(named(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_that_shows_nothing_is_none() {
        for bad in [
            "\u{200b}",
            "\u{200d}\u{200c}",
            "\u{3164}",
            "\u{2800} \u{feff}",
            "\u{ad}",
            "\u{e0041}",
            "\u{fe0f}",
        ] {
            assert_eq!(named(bad), None, "{bad:?}");
            assert_eq!(shorten(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_name_looks_like_what_it_is_and_turns_nothing_round() {
        for dressed in [
            "A\u{200b}da",
            "\u{202e}Ada",
            "Ada\u{2066}",
            "A\u{200d}da",
            "Ad\u{ad}a\u{200f}",
            "\u{feff}Ada",
            "A\u{2028}da",
            "A\u{e0064}da",
            " \u{200b} Ada",
        ] {
            assert_eq!(named(dressed).as_deref(), Some("Ada"), "{dressed:?}");
            assert_eq!(shorten(dressed).as_deref(), Some("Ada"), "{dressed:?}");
        }
    }

    #[test]
    fn scripts_and_emoji_that_need_joiners_keep_them() {
        for whole in ["علی\u{200c}رضا", "क्\u{200d}ष", "👩\u{200d}👧", "❤\u{fe0f}", "Zoë", "أحمد"]
        {
            assert_eq!(named(whole).as_deref(), Some(whole));
        }
        assert_eq!(named("é\u{200d}\u{200d}").as_deref(), Some("é"));
    }

    #[test]
    fn a_foreign_name_is_cut_to_fit() {
        assert_eq!(shorten(" A\u{7}da\n").as_deref(), Some("Ada"));
        assert_eq!(shorten(&"é".repeat(200)).unwrap().chars().count(), 100);
        assert_eq!(shorten("\u{7}"), None);
    }
}
