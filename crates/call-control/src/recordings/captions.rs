//! Captions: WebVTT texts that a transcriber makes of a recording, one for each language.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use aws_lc_rs::digest;
use bytes::Bytes;
use uuid::Uuid;

use super::{
    Recordings,
    files::{OpenFile, no_such_file},
    no_such_recording,
};
use crate::{
    actor::Actor,
    call::{FileKind, FilePlace, FileRow},
    clock::now,
    error::{ErrorCode, Refusal},
    ids::{FileId, RecordingId},
    store::StoredFile,
};

/// A language tag (RFC 5646 §2.1) in lower case: 1 to 35 letters, digits and hyphens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Language(String);

impl Language {
    #[must_use]
    pub fn parse(tag: &str) -> Option<Self> {
        let mut parts = tag.split('-');
        let primary =
            parts.next().filter(|primary| primary.bytes().all(|byte| byte.is_ascii_alphabetic()))?;
        let is_part = |part: &str| {
            (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        let is_tag = tag.len() <= MAX_TAG && primary.len() >= 2 && is_part(primary) && parts.all(is_part);
        is_tag.then(|| Self(tag.to_ascii_lowercase()))
    }
}

impl Recordings {
    /// Stores the captions of a recording in a language, in place of earlier ones. The text is read only for a caller
    /// who may send it. Returns whether they are the first.
    ///
    /// # Errors
    /// `not_found`, `forbidden` for all but the service and server admins, `bad_request` for what is not WebVTT,
    /// `limit_exceeded`, `unavailable`.
    pub async fn put_captions(
        &self,
        by: &Actor,
        recording: RecordingId,
        language: &Language,
        text: impl Future<Output = Result<Bytes, Refusal>>,
    ) -> Result<bool, Refusal> {
        by.require_admin()?;
        let stored = self.present(by, recording).await?;
        self.require_here(&stored.row)?;
        let text = text.await?;
        require_web_vtt(&text)?;
        let earlier = self.shared.store.captions(recording, &language.0).await?;
        let is_first = earlier.is_none();
        if is_first && self.shared.store.count_captions(recording).await? >= MAX_LANGUAGES {
            return Err(Refusal::new(ErrorCode::LimitExceeded, "the recording has captions in 50 languages"));
        }
        let row = file_row(stored.row.id, language, &text);
        let path = self.path_of(&row.key)?;
        let (recordings, file) = (self.clone(), StoredFile { row, language: Some(language.0.clone()) });
        self.whole(async move {
            let (written, bytes) = (path.clone(), text);
            recordings.on_disk(move || replace(&written, &bytes)).await?;
            if recordings.shared.store.put_captions(&file, now()).await? {
                return Ok(is_first);
            }
            // It was deleted meanwhile, and its folder may have been removed before the file came.
            recordings.on_disk(move || discard(&path)).await?;
            Err(no_such_recording())
        })
        .await
    }

    /// Removes the files of a recording's captions, whose rows are gone.
    ///
    /// # Errors
    /// `internal`.
    pub(super) async fn remove_captions(&self, recording: RecordingId) -> Result<(), Refusal> {
        let folder = self.path_of(&recording.to_string())?;
        self.on_disk(move || remove_all(&folder)).await
    }

    /// The captions of a recording in a language.
    ///
    /// # Errors
    /// `not_found`, `forbidden`, `unavailable`.
    pub async fn captions(
        &self,
        by: &Actor,
        recording: RecordingId,
        language: &Language,
    ) -> Result<OpenFile, Refusal> {
        let stored = self.present(by, recording).await?;
        let found = self.shared.store.captions(recording, &language.0).await?.ok_or_else(no_such_file)?;
        self.open_local(found, stored).await
    }
}

/// Removes the files of captions in a recording's folder, unfinished ones as well.
fn remove_all(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(NAME) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// A WebVTT file is UTF-8 and begins with its name (WebVTT §4.1).
fn require_web_vtt(text: &[u8]) -> Result<(), Refusal> {
    let text = std::str::from_utf8(text).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let rest = text.and_then(|text| text.strip_prefix("WEBVTT"));
    if rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\n', '\r'])) {
        Ok(())
    } else {
        Err(Refusal::new(ErrorCode::BadRequest, "captions are WebVTT in UTF-8"))
    }
}

fn file_row(recording: RecordingId, Language(language): &Language, text: &[u8]) -> FileRow {
    let hash = digest::digest(&digest::SHA256, text);
    let hash = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    FileRow {
        id: FileId::random(),
        recording_id: recording,
        track_id: None,
        kind: FileKind::Captions,
        part: 0,
        content_type: "text/vtt; charset=utf-8".to_owned(),
        place: FilePlace::Local,
        key: format!("{recording}/{NAME}{language}.vtt"),
        bytes: i64::try_from(text.len()).unwrap_or(i64::MAX),
        start_ms: 0,
        sha256: Some(hash),
    }
}

/// Writes the file under another name first, so that a reader or a crash never finds a part of it.
fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        // As the recorder makes it: only the server's user may read recordings.
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let draft = path.with_extension(format!("{}.draft", Uuid::new_v4()));
    let written = write(&draft, text).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // The error of the write is the one to tell.
        let _ = fs::remove_file(&draft);
    }
    written
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Removes the file, and its folder if nothing else is in it.
fn discard(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if let Some(folder) = path.parent() {
        // Another file in it is not ours to remove.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// Bytes of captions in one language.
pub const MAX_CAPTIONS: usize = 5 * 1024 * 1024;
/// How the names of their files begin.
const NAME: &str = "captions-";
const MAX_LANGUAGES: i64 = 50;
const MAX_TAG: usize = 35;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_is_a_tag_and_no_path() {
        for (tag, stored) in [("de", "de"), ("pt-BR", "pt-br"), ("zh-Hans-CN", "zh-hans-cn")] {
            assert_eq!(Language::parse(tag), Some(Language(stored.to_owned())));
        }
        for bad in
            ["", "d", "..", "../x", "de/", "de-", "-de", "de--at", "d1", "de_AT", "dé", &"a-".repeat(20)]
        {
            assert_eq!(Language::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn captions_are_web_vtt() {
        for good in ["WEBVTT", "WEBVTT\n\n00:00.000 --> 00:01.000\nHi", "\u{feff}WEBVTT - a title\r\n"] {
            assert!(require_web_vtt(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in [b"".as_slice(), b"WEBVTTX", b"1\n00:00:00,000 --> 00:00:01,000\nHi", b"WEBVTT \xff"] {
            assert!(require_web_vtt(bad).is_err(), "{bad:?}");
        }
    }
}
