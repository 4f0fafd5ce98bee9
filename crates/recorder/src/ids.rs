//! Ids, and the names of files that are made of them. No text of a user is ever part of a name.

use crate::matroska::Kind;
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId(pub Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub Uuid);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct TrackKey {
    pub(crate) recording: RecordingId,
    pub(crate) track: TrackId,
}

/// One file of a track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    pub(crate) of: TrackKey,
    pub(crate) part: u32,
}

impl FileKey {
    pub(crate) fn name(&self, kind: Kind) -> String {
        format!("{}-{}.{}", self.of.track.0, self.part, kind.extension())
    }

    /// The path below the recorder's folder.
    pub(crate) fn path(&self, kind: Kind) -> String {
        format!("{}/{}", self.of.recording.0, self.name(kind))
    }

    /// Reads a name that [`FileKey::name`] made.
    pub(crate) fn parse(recording: RecordingId, name: &str) -> Option<Self> {
        let (stem, extension) = name.rsplit_once('.')?;
        let (track, part) = stem.rsplit_once('-')?;
        let track = TrackId(Uuid::try_parse(track).ok()?);
        let key = Self { of: TrackKey { recording, track }, part: part.parse().ok()? };
        let kind = Kind::ALL.into_iter().find(|kind| kind.extension() == extension)?;
        (key.name(kind) == name).then_some(key)
    }
}
