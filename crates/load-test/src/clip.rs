//! The encoded media that publishers send in a loop (created by `clips/generate.py`).

use crate::codec::VideoCodec;

/// A list of encoded frames; a video's first frame is its only key frame.
#[derive(Debug, Clone)]
pub(crate) struct Clip {
    frames: Vec<&'static [u8]>,
    next: usize,
}

impl Clip {
    pub(crate) fn video(codec: VideoCodec) -> Self {
        Self::read(match codec {
            VideoCodec::Vp8 => include_bytes!("../clips/vp8.clip"),
            VideoCodec::Vp9 => include_bytes!("../clips/vp9.clip"),
            VideoCodec::H264 => include_bytes!("../clips/h264.clip"),
            VideoCodec::Av1 => include_bytes!("../clips/av1.clip"),
        })
    }

    /// Frames of 20 ms.
    pub(crate) fn opus() -> Self {
        Self::read(include_bytes!("../clips/opus.clip"))
    }

    /// The next frame, and whether it is the first one.
    pub(crate) fn next_frame(&mut self) -> (&'static [u8], bool) {
        let index = self.next;
        self.next = (index + 1) % self.frames.len().max(1);
        (self.frames.get(index).copied().unwrap_or_default(), index == 0)
    }

    /// Continues with the key frame.
    pub(crate) fn restart(&mut self) {
        self.next = 0;
    }

    fn read(mut clip: &'static [u8]) -> Self {
        let mut frames = Vec::new();
        while let Some((length, rest)) = clip.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            let Some((frame, rest)) = rest.split_at_checked(length) else { break };
            frames.push(frame);
            clip = rest;
        }
        Self { frames, next: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_loops_and_goes_back_to_its_key_frame_when_asked() {
        let mut clip = Clip::video(VideoCodec::Vp8);
        let (first, is_key) = clip.next_frame();
        assert!(is_key && !clip.next_frame().1);
        clip.restart();
        assert_eq!(clip.next_frame(), (first, true));
        for _ in 1..clip.frames.len() {
            assert!(!clip.next_frame().1);
        }
        assert_eq!(clip.next_frame(), (first, true));
    }

    #[test]
    fn clips_hold_what_their_codec_says() {
        let key = |codec| Clip::video(codec).frames[0];
        // The start code and the size (RFC 6386 §9.1); the frame marker and sync code of VP9; a sequence parameter
        // set; a temporal delimiter.
        assert_eq!(key(VideoCodec::Vp8)[3..6], [0x9d, 0x01, 0x2a]);
        assert_eq!(key(VideoCodec::Vp9)[..4], [0x82, 0x49, 0x83, 0x42]);
        assert_eq!(key(VideoCodec::H264)[4] & 0x1f, 7);
        assert_eq!(key(VideoCodec::Av1)[..2], [0x12, 0]);
        // One frame of 20 ms, stereo, in each packet (RFC 6716 §3.1).
        assert!(Clip::opus().frames.iter().all(|packet| packet[0] & 0x07 == 0x04));
    }
}
