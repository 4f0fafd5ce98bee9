//! What a sender says of its layers' target rates: the video layers allocation, version 0
//! (<http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00>).

/// The target rates of all layers of a track, in the order of streams, spatial and temporal layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoLayersAllocation {
    /// The simulcast stream that the value was sent on, 0..=3.
    pub stream: u8,
    /// Bits of the active spatial layers of each simulcast stream.
    active: [u8; MAX_STREAMS],
    /// Temporal layers of each active spatial layer, 1..=4, by stream and spatial layer; 0 if it is not active.
    temporal: [[u8; MAX_SPATIAL]; MAX_STREAMS],
    /// In kbit/s, by stream, spatial and temporal layer.
    rates: [[[u32; MAX_TEMPORAL]; MAX_SPATIAL]; MAX_STREAMS],
    /// Width and height in pixels and pictures per second, where told.
    sizes: Option<[[VideoLayerSize; MAX_SPATIAL]; MAX_STREAMS]>,
}

/// The largest picture of a spatial layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VideoLayerSize {
    /// Pixels, 1..=65,536.
    pub width: u32,
    pub height: u32,
    /// Pictures per second.
    pub frame_rate: u8,
}

impl VideoLayersAllocation {
    /// Reads the value of the extension; `None` if it is malformed. A single 0 byte says that nothing is sent.
    /// What follows a complete value is ignored.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (&first, mut rest) = value.split_first()?;
        let mut allocation = Self {
            stream: first >> 6,
            active: [0; MAX_STREAMS],
            temporal: Default::default(),
            rates: Default::default(),
            sizes: None,
        };
        if first == 0 && rest.is_empty() {
            return Some(allocation);
        }
        let streams = usize::from(first >> 4 & 3) + 1;
        let shared = first & 0x0f;
        for stream in 0..streams {
            allocation.active[stream] = match shared {
                0 => nibble(rest, stream)?,
                shared => shared,
            };
        }
        if shared == 0 {
            rest = rest.get(streams.div_ceil(2)..)?;
        }
        let layers = allocation.active_layers();
        for (index, (stream, spatial)) in allocation.layers().enumerate() {
            let byte = rest.get(index / 4)?;
            allocation.temporal[stream][spatial] = (byte >> (6 - 2 * (index % 4)) & 3) + 1;
        }
        rest = rest.get(layers.div_ceil(4)..)?;
        for (stream, spatial) in allocation.layers() {
            for temporal in 0..usize::from(allocation.temporal[stream][spatial]) {
                (allocation.rates[stream][spatial][temporal], rest) = leb128(rest)?;
            }
        }
        allocation.sizes = allocation.sizes(rest);
        Some(allocation)
    }

    /// The rate of a layer together with all layers that it depends on, in bit/s; `None` if it is not sent.
    pub fn rate(&self, stream: u8, spatial: u8, temporal: u8) -> Option<u64> {
        let (stream, spatial, temporal) = (usize::from(stream), usize::from(spatial), usize::from(temporal));
        let layers = *self.temporal.get(stream)?.get(spatial)?;
        let rate = *self.rates.get(stream)?.get(spatial)?.get(temporal)?;
        (temporal < usize::from(layers)).then(|| u64::from(rate) * 1_000)
    }

    /// The size of a layer; `None` if it is not sent or its size is not told.
    pub fn size(&self, stream: u8, spatial: u8) -> Option<VideoLayerSize> {
        let (stream, spatial) = (usize::from(stream), usize::from(spatial));
        let is_active = *self.temporal.get(stream)?.get(spatial)? > 0;
        self.sizes.as_ref()?.get(stream)?.get(spatial).copied().filter(|_| is_active)
    }

    /// The active layers by stream and spatial layer, in order.
    fn layers(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let active = self.active;
        let all = (0..MAX_STREAMS).flat_map(|stream| (0..MAX_SPATIAL).map(move |spatial| (stream, spatial)));
        all.filter(move |&(stream, spatial)| active[stream] >> spatial & 1 != 0)
    }

    fn active_layers(&self) -> usize {
        self.layers().count()
    }

    /// Sizes are optional, five bytes for each layer: all or none are there.
    fn sizes(&self, bytes: &[u8]) -> Option<[[VideoLayerSize; MAX_SPATIAL]; MAX_STREAMS]> {
        let mut sizes = <[[VideoLayerSize; MAX_SPATIAL]; MAX_STREAMS]>::default();
        let mut values = bytes.chunks_exact(SIZE_LEN);
        for (stream, spatial) in self.layers() {
            let &[w1, w0, h1, h0, frame_rate] = values.next()? else { return None };
            let width = u32::from(u16::from_be_bytes([w1, w0])) + 1;
            let height = u32::from(u16::from_be_bytes([h1, h0])) + 1;
            sizes[stream][spatial] = VideoLayerSize { width, height, frame_rate };
        }
        Some(sizes)
    }
}

/// The four bits at this index, the high ones first.
fn nibble(bytes: &[u8], index: usize) -> Option<u8> {
    let byte = bytes.get(index / 2)?;
    Some(if index.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// A number of at most 32 bits, seven bits a byte, the lowest first (AV1 specification, 4.10.5), and the rest.
fn leb128(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(MAX_LEB128) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((u32::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

const MAX_STREAMS: usize = 4;
const MAX_SPATIAL: usize = 4;
const MAX_TEMPORAL: usize = 4;
const SIZE_LEN: usize = 5;
/// Bytes.
const MAX_LEB128: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn simulcast_of_three_streams_shares_one_bit_mask() {
        // Stream 1 of three, each with spatial layer 0 of 1, 2 and 3 temporal layers.
        let value = [
            0b0110_0001,
            0b0001_1000,
            100,
            0x80 | 22,
            1,
            0x80 | 44,
            2,
            0x80 | 116,
            3,
            0x80 | 88,
            7,
            0x80 | 92,
            11,
        ];
        let allocation = VideoLayersAllocation::parse(&value).unwrap();
        assert_eq!(allocation.stream, 1);
        assert_eq!(allocation.rate(0, 0, 0), Some(100_000));
        let second = [0, 1, 2].map(|temporal| allocation.rate(1, 0, temporal));
        assert_eq!(second, [Some(150_000), Some(300_000), None], "leb128 of more than one byte");
        let third = [0, 1, 2, 3].map(|temporal| allocation.rate(2, 0, temporal));
        assert_eq!(third, [Some(500_000), Some(984_000), Some(1_500_000), None]);
        assert_eq!(
            (allocation.rate(0, 1, 0), allocation.rate(3, 0, 0), allocation.rate(9, 9, 9)),
            (None, None, None)
        );
        assert_eq!(allocation.size(0, 0), None);
    }

    #[test]
    fn streams_may_have_masks_of_their_own() {
        // Three streams with the masks 0011, 0000 and 0100; all layers have one temporal layer.
        let value = [0b0010_0000, 0b0011_0000, 0b0100_0000, 0, 10, 20, 30];
        let allocation = VideoLayersAllocation::parse(&value).unwrap();
        let rates = [(0, 0), (0, 1), (1, 0), (2, 0), (2, 2)].map(|(a, b)| allocation.rate(a, b, 0));
        assert_eq!(rates, [Some(10_000), Some(20_000), None, None, Some(30_000)]);
    }

    #[test]
    fn sizes_are_read_if_they_are_there() {
        let sizes = [[1, 63, 0, 179, 15], [4, 255, 2, 207, 30]];
        let value = [&[0b0000_0011, 0b0000_0000, 10, 20][..], &sizes.concat()].concat();
        let allocation = VideoLayersAllocation::parse(&value).unwrap();
        assert_eq!(allocation.size(0, 0), Some(VideoLayerSize { width: 320, height: 180, frame_rate: 15 }));
        assert_eq!(allocation.size(0, 1), Some(VideoLayerSize { width: 1280, height: 720, frame_rate: 30 }));
        assert_eq!(allocation.size(0, 2), None);
        let cut = VideoLayersAllocation::parse(&value[..value.len() - 1]).unwrap();
        assert_eq!((cut.size(0, 0), cut.rate(0, 1, 0)), (None, Some(20_000)));
    }

    #[test]
    fn a_single_zero_says_that_nothing_is_sent() {
        let allocation = VideoLayersAllocation::parse(&[0]).unwrap();
        assert_eq!((allocation.rate(0, 0, 0), allocation.stream), (None, 0));
    }

    #[test]
    fn a_value_that_ends_early_or_overflows_is_refused() {
        let value = [0b0010_0000, 0b0011_0000, 0b0100_0000, 0, 10, 20, 30];
        for len in 0..value.len() {
            assert_eq!(VideoLayersAllocation::parse(&value[..len]), None, "{len} bytes");
        }
        let endless = [&[1, 0][..], &[0x80; 20]].concat();
        assert_eq!(VideoLayersAllocation::parse(&endless), None);
        assert_eq!(VideoLayersAllocation::parse(&[1, 0, 0xff, 0xff, 0xff, 0xff, 0x7f]), None, "35 bits");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(allocation) = VideoLayersAllocation::parse(&value) {
                for stream in 0..5 {
                    for spatial in 0..5 {
                        for temporal in 0..5 {
                            let _ = allocation.rate(stream, spatial, temporal);
                        }
                        let _ = allocation.size(stream, spatial);
                    }
                }
            }
        }
    }
}
