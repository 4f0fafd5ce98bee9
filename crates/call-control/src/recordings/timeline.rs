//! Who spoke when, and when the recording was paused.

use std::{
    fs::File,
    io::{self, Read},
};

use super::{Recordings, files::no_such_file};
use crate::{actor::Actor, error::Refusal, ids::RecordingId};

impl Recordings {
    /// The time line of a recording, as the recorder wrote it: a JSON object a line, in the order of time. Empty where
    /// nothing was noted; of a running recording as far as it is written.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn timeline(&self, by: &Actor, recording: RecordingId) -> Result<String, Refusal> {
        let stored = self.present(by, recording).await?;
        self.require_here(&stored.row)?;
        let path = self.path_of(&format!("{recording}/timeline.jsonl"))?;
        let text = self.on_disk(move || whole_lines(File::open(path)?)).await;
        text.or_else(
            |refusal| if refusal.code == no_such_file().code { Ok(String::new()) } else { Err(refusal) },
        )
    }
}

/// Without a last line that is not finished.
fn whole_lines(file: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_TIMELINE).read_to_end(&mut bytes)?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1));
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// What the recorder notes at most of a recording between two starts of the server: 100,000 things, in less than 90 bytes
/// each. Later ones are left out.
const MAX_TIMELINE: u64 = 9 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_being_written_is_left_out() {
        let read = |text: &[u8]| whole_lines(text).unwrap();
        assert_eq!(read(b"{\"atMs\":1}\n{\"atMs\":2}\n"), "{\"atMs\":1}\n{\"atMs\":2}\n");
        assert_eq!(read(b"{\"atMs\":1}\n{\"atM"), "{\"atMs\":1}\n");
        assert_eq!(read(b"{\"atM"), "");
        assert_eq!(read(b""), "");
        assert!(whole_lines(b"\xff\n".as_slice()).is_err());
    }
}
