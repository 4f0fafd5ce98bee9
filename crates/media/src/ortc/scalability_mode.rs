//! Layers, and scalability mode names (WebRTC-SVC §6).

use serde::{Deserialize, Serialize};

/// A quality level of a producer; layer 0 is the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    #[serde(rename = "spatialLayer")]
    pub spatial: u8,
    /// `None`: the highest available layer.
    #[serde(rename = "temporalLayer", default, skip_serializing_if = "Option::is_none")]
    pub temporal: Option<u8>,
}

/// The number of layers that one encoding announces. The packets may contain fewer or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalabilityMode {
    /// 1–99.
    pub spatial_layers: u8,
    /// 1–99.
    pub temporal_layers: u8,
    /// Spatial layers depend on each other only in key pictures.
    pub key_dependency: bool,
}

impl ScalabilityMode {
    /// Reads the start of a mode's name, such as `L3T3_KEY`; suffixes such as `h` or `_SHIFT` change no layer count.
    /// An unknown name is read as one spatial and one temporal layer.
    pub fn parse(name: &str) -> Self {
        Self::try_parse(name).unwrap_or(Self::SINGLE_LAYER)
    }

    fn try_parse(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(['L', 'S'])?;
        let (spatial_layers, rest) = layer_count(rest)?;
        let (temporal_layers, rest) = layer_count(rest.strip_prefix('T')?)?;
        Some(Self { spatial_layers, temporal_layers, key_dependency: rest.starts_with("_KEY") })
    }

    pub const SINGLE_LAYER: Self = Self { spatial_layers: 1, temporal_layers: 1, key_dependency: false };
}

/// One or two digits, the first not zero, and what follows them.
fn layer_count(text: &str) -> Option<(u8, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (count, rest) = text.split_at(digits);
    if count.starts_with('0') {
        return None;
    }
    Some((count.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_counts_are_read_from_the_name() {
        for (name, spatial, temporal, key) in [
            ("L1T3", 1, 3, false),
            ("L3T3_KEY", 3, 3, true),
            ("L2T2_KEY_SHIFT", 2, 2, true),
            ("L2T1h", 2, 1, false),
            ("S3T3", 3, 3, false),
            ("L10T12", 10, 12, false),
        ] {
            let expected =
                ScalabilityMode { spatial_layers: spatial, temporal_layers: temporal, key_dependency: key };
            assert_eq!(ScalabilityMode::parse(name), expected, "{name}");
        }
    }

    #[test]
    fn an_unreadable_name_means_a_single_layer() {
        for name in ["", "L", "T3", "L0T1", "L1T0", "l3t3", "LT", "L3", "L3T", "L\u{e9}T1", "X3T3"] {
            assert_eq!(ScalabilityMode::parse(name), ScalabilityMode::SINGLE_LAYER, "{name}");
        }
    }
}
