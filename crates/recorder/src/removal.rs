//! Removes what a folder has of one track.

use crate::folder::{Folder, sync_folder, unless_gone};
use crate::ids::{RecordingId, TrackId};
use crate::{manifest, timeline};
use std::fs;
use std::io;

/// Removes the files of a track, and what the time line and the manifest tell of it.
pub(crate) fn delete_track(folder: &Folder, recording: RecordingId, track: TrackId) -> io::Result<()> {
    let _alone = folder.alone();
    for (key, path) in folder.files(recording)? {
        if key.of.track == track {
            unless_gone(fs::remove_file(path))?;
        }
    }
    timeline::forget_track(&folder.timeline(recording), track)?;
    manifest::forget_track(&folder.manifest(recording), track)?;
    unless_gone(sync_folder(&folder.recording(recording)))
}
