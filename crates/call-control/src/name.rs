//! Display names of users and groups.

use serde::Deserialize;
use utoipa::ToSchema;

/// One line of 1 to 100 characters, of which at least one can be seen. Blanks around it are dropped, and so are
/// characters that show nothing or change the direction of the text around them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(
    min_length = 1,
    max_length = 100,
    pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f\u1160\u17b4-\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb][^\x00-\x1f\x7f-\x9f]*$",
    example = "Ada"
)]
pub struct DisplayName(String);

#[derive(Debug, thiserror::Error)]
#[error("a name is one line of 1 to 100 characters that can be seen")]
pub struct InvalidName;

impl TryFrom<String> for DisplayName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        let is_one_line = !text.chars().any(char::is_control);
        let fits = text.chars().count() <= MAX_LENGTH;
        let name = shown(&text).filter(|_| is_one_line && fits);
        name.map(Self).ok_or(InvalidName)
    }
}

impl DisplayName {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Makes a display name of any text: drops what cannot be seen, and shortens it. `None` if nothing is left.
pub(crate) fn shorten(text: &str) -> Option<String> {
    let printable: String =
        text.trim().chars().filter(|letter| !letter.is_control()).take(MAX_LENGTH).collect();
    shown(&printable)
}

/// The text without blanks around it and without characters that show nothing; `None` if nothing is left.
fn shown(text: &str) -> Option<String> {
    let letters: Vec<char> = text.chars().collect();
    let joins = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| letters.get(before));
        let (Some(before), Some(after)) = (before, letters.get(at + 1)) else { return false };
        JOINERS.contains(&letters[at]) && ![before, after].iter().any(|letter| is_invisible(**letter))
    };
    let kept = (0..letters.len()).filter(|&at| !is_invisible(letters[at]) || joins(at));
    let name: String = kept.map(|at| letters[at]).collect();
    let name = name.trim();
    let is_seen = name.chars().any(|letter| !letter.is_whitespace() && !is_invisible(letter));
    is_seen.then(|| name.to_owned())
}

/// Whether a character shows nothing by itself, or changes the direction of others: the general category Cf, and
/// letters that are blank (Unicode 16, `Default_Ignorable_Code_Point` and the blank Braille pattern). Variation
/// selectors change the character before them, so they stay.
fn is_invisible(letter: char) -> bool {
    INVISIBLE.iter().any(|&(first, last)| (first..=last).contains(&letter))
}

/// Maximum length of a name, in characters.
const MAX_LENGTH: usize = 100;
/// They join what stands around them: Persian and Indic names, and emoji of several parts, need them.
const JOINERS: [char; 2] = ['\u{200c}', '\u{200d}'];
const INVISIBLE: [(char, char); 26] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{600}', '\u{605}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{6dd}', '\u{6dd}'),
    ('\u{70f}', '\u{70f}'),
    ('\u{890}', '\u{891}'),
    ('\u{8e2}', '\u{8e2}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{2028}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fffb}'),
    ('\u{110bd}', '\u{110bd}'),
    ('\u{110cd}', '\u{110cd}'),
    ('\u{13430}', '\u{1343f}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e00ff}'),
    ('\u{e01f0}', '\u{e0fff}'),
];

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

    #[test]
    fn a_name_that_shows_nothing_is_none() {
        for blank in ["\u{200b}", "\u{3164}", " \u{2800} ", "\u{feff}\u{2060}", "\u{200d}", "\u{e0041}"] {
            assert!(DisplayName::try_from(blank.to_owned()).is_err(), "{blank:?}");
            assert_eq!(shorten(blank), None, "{blank:?}");
        }
    }

    #[test]
    fn what_turns_text_round_is_dropped_and_what_joins_letters_stays() {
        let name = |text: &str| DisplayName::try_from(text.to_owned()).unwrap().as_str().to_owned();
        assert_eq!(name("Ada\u{202e}moderator"), "Adamoderator");
        assert_eq!(name("\u{2066}Ada\u{2069} \u{ad}"), "Ada");
        assert_eq!(name("A\u{200b}da"), "Ada");
        let persian = "\u{0645}\u{06cc}\u{200c}\u{0634}\u{0648}\u{062f}";
        assert_eq!(name(persian), persian);
        assert_eq!(name("\u{1f469}\u{200d}\u{1f680}"), "\u{1f469}\u{200d}\u{1f680}");
        assert_eq!(name("\u{2764}\u{fe0f}"), "\u{2764}\u{fe0f}");
        assert_eq!(shorten("Eve\u{202e}").as_deref(), Some("Eve"));
    }
}
