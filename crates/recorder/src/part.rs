//! One file of a track while it grows: samples become clusters.

use crate::ids::FileKey;
use crate::matroska::{ClusterBuilder, Cues, Header, Kind, MAX_LAST_BLOCK_MS, Places, Trailer};
use crate::queue::{Full, Job, Queue, Room};
use crate::time::millis;
use bytes::Bytes;
use std::time::{Duration, Instant};
use switchyard_media_worker::media::Sample;

/// A cluster is written when it spans this time in the file,
const CLUSTER_MS: u64 = 1_000;
/// or has this many bytes,
const CLUSTER_BYTES: usize = 256 * 1024;
/// or when its first sample came this long ago. So at most this and [`crate::recordings::TICK`] are lost with the process.
const CLUSTER_AGE: Duration = Duration::from_millis(900);
/// Times in a file stay below this many milliseconds; some readers count them in 32 bits.
const MAX_PART_MS: u64 = 1 << 31;

#[derive(Debug)]
pub(crate) struct Part {
    file: FileKey,
    kind: Kind,
    start: Instant,
    /// Until the file is made, which happens with its first cluster.
    header: Option<Vec<u8>>,
    places: Places,
    cluster: Option<Filling>,
    cues: Cues,
    /// The length of the file, with all that was given to the writer.
    length: u64,
    /// The time of the last sample in the file and the time between the last two.
    last: Option<(u64, u64)>,
    /// When the last sample that was given to the writer ends.
    end_ms: u64,
}

#[derive(Debug)]
struct Filling {
    builder: ClusterBuilder,
    since: Instant,
}

/// A cluster found no room.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// When its first sample was captured.
    pub(crate) from: Instant,
}

impl Part {
    /// `None` if the header is larger than any should be.
    pub(crate) fn new(file: FileKey, start: Instant, header: &Header<'_>) -> Option<Self> {
        let bytes = header.bytes();
        Some(Self {
            file,
            kind: Kind::of(header.format.codec),
            start,
            places: Places::read(&bytes)?,
            length: bytes.len() as u64,
            header: Some(bytes),
            cluster: None,
            cues: Cues::default(),
            last: None,
            end_ms: 0,
        })
    }

    pub(crate) fn file(&self) -> FileKey {
        self.file
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// When the first sample was captured.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    /// When the last written sample ends.
    pub(crate) fn end(&self) -> Instant {
        self.start + Duration::from_millis(self.end_ms)
    }

    /// Whether the file exists or is about to.
    pub(crate) fn is_made(&self) -> bool {
        self.header.is_none()
    }

    /// Whether a new file should begin at a sample of this time.
    pub(crate) fn is_over(&self, at: Instant) -> bool {
        millis(at.saturating_duration_since(self.start)) >= MAX_PART_MS
    }

    /// # Errors
    /// [`Dropped`]: the queue had no room for the cluster before this sample; the sample is not added.
    pub(crate) fn push(&mut self, now: Instant, sample: &Sample, queue: &Queue) -> Result<(), Dropped> {
        let time_ms = self.time_of(sample.at);
        let ends = self.cluster.as_ref().is_some_and(|Filling { builder, .. }| {
            let picture = sample.key_frame && self.kind.is_video();
            let spans = time_ms - builder.start_ms() >= CLUSTER_MS;
            picture || spans || builder.len() + sample.payload.len() > CLUSTER_BYTES
        });
        if ends {
            self.flush(queue)?;
        }
        let filling = self.cluster.get_or_insert_with(|| Filling {
            builder: ClusterBuilder::new(time_ms, sample.key_frame),
            since: now,
        });
        filling.builder.push(time_ms, sample.key_frame, &sample.payload);
        let gap = self.last.map_or(millis(sample.duration), |(last, _)| time_ms - last);
        self.last = Some((time_ms, gap));
        Ok(())
    }

    /// Times rise strictly.
    fn time_of(&self, at: Instant) -> u64 {
        let exact = at.saturating_duration_since(self.start);
        let rounded = millis(exact + Duration::from_micros(500));
        self.last.map_or(rounded, |(last, _)| rounded.max(last + 1))
    }

    /// Gives a cluster to the writer that has waited long enough.
    ///
    /// # Errors
    /// [`Dropped`]
    pub(crate) fn flush_old(&mut self, now: Instant, queue: &Queue) -> Result<(), Dropped> {
        match &self.cluster {
            Some(filling) if now.saturating_duration_since(filling.since) >= CLUSTER_AGE => self.flush(queue),
            Some(_) | None => Ok(()),
        }
    }

    fn flush(&mut self, queue: &Queue) -> Result<(), Dropped> {
        let (Some(Filling { builder, .. }), Some((last_ms, gap))) = (self.cluster.take(), self.last) else {
            return Ok(());
        };
        let (start_ms, key_frame) = (builder.start_ms(), builder.begins_with_key_frame());
        let end_ms = last_ms + gap.min(MAX_LAST_BLOCK_MS);
        let cluster = builder.finish();
        let length = cluster.len() as u64;
        let room = if self.kind.is_video() { Room::Video } else { Room::Audio };
        if let Err(Full) = queue.offer(room, self.job(cluster)) {
            return Err(Dropped { from: self.start + Duration::from_millis(start_ms) });
        }
        self.header = None;
        if key_frame {
            self.cues.push(start_ms, self.length);
        }
        self.length += length;
        self.end_ms = end_ms;
        Ok(())
    }

    fn job(&self, cluster: Bytes) -> Job {
        let Self { file, kind, .. } = *self;
        match &self.header {
            Some(header) => {
                let bytes = [header.as_slice(), &cluster].concat().into();
                Job::Create { file, kind, mark_at: self.places.mark_at(), bytes }
            }
            None => Job::Append { file, cluster },
        }
    }

    /// Gives the rest to the writer and ends the file, if one was made. Returns what found no room.
    pub(crate) fn finish(&mut self, queue: &Queue) -> Option<Dropped> {
        let dropped = self.flush(queue).err();
        if self.is_made() {
            let trailer = Trailer::new(&self.places, &self.cues, self.length, self.end_ms);
            let job = Job::Finish { file: self.file, kind: self.kind, trailer: Box::new(trailer) };
            // Without a writer there is nobody to finish anything; the next start repairs the file.
            let _ = queue.offer(Room::Always, job);
        }
        dropped
    }
}
