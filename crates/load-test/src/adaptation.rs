//! What a server tells its receivers of the paths to them, and of the layers that these get.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// Follows one receiver.
#[derive(Debug, Default)]
pub(crate) struct Adaptation {
    told: Told,
    videos: HashMap<String, Shown>,
}

/// What one receiver was told.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// The last rates; `None` if the server estimates nothing.
    pub(crate) bandwidth: Option<Bandwidth>,
    /// For how many seconds videos had which layers, all videos together; [`WITHHELD`] while they had none.
    pub(crate) layer_seconds: BTreeMap<String, f64>,
}

/// bit/s of UDP payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bandwidth {
    pub(crate) estimate: u64,
    pub(crate) used: u64,
    pub(crate) wanted: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Layers {
    pub(crate) spatial_layer: Option<u8>,
    pub(crate) temporal_layer: Option<u8>,
}

/// The layers that a video has, and since when.
#[derive(Debug)]
struct Shown {
    layers: Layers,
    since: Instant,
}

impl Adaptation {
    pub(crate) fn note_bandwidth(&mut self, bandwidth: Bandwidth) {
        self.told.bandwidth = Some(bandwidth);
    }

    /// The first time, the video has begun; before it is not withheld.
    pub(crate) fn note_layers(&mut self, consumer: String, layers: Layers, now: Instant) {
        let before = self.videos.insert(consumer, Shown { layers, since: now });
        self.told.count(before.as_ref(), now);
    }

    pub(crate) fn forget(&mut self, consumer: &str, now: Instant) {
        let shown = self.videos.remove(consumer);
        self.told.count(shown.as_ref(), now);
    }

    pub(crate) fn finish(mut self, now: Instant) -> Told {
        for shown in self.videos.values() {
            self.told.count(Some(shown), now);
        }
        self.told
    }
}

impl Told {
    fn count(&mut self, shown: Option<&Shown>, now: Instant) {
        if let Some(Shown { layers, since }) = shown {
            let seconds = now.saturating_duration_since(*since).as_secs_f64();
            *self.layer_seconds.entry(layers.name()).or_default() += seconds;
        }
    }
}

impl Layers {
    /// Like S1T2, as scalability modes count, but from 0.
    fn name(self) -> String {
        match (self.spatial_layer, self.temporal_layer) {
            (None, _) => WITHHELD.to_owned(),
            (Some(spatial), None) => format!("S{spatial}"),
            (Some(spatial), Some(temporal)) => format!("S{spatial}T{temporal}"),
        }
    }
}

/// Instead of layers.
pub(crate) const WITHHELD: &str = "withheld";

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn time_is_counted_by_layers_from_a_videos_beginning_to_its_end() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let layers = |spatial_layer, temporal_layer| Layers { spatial_layer, temporal_layer };
        let mut adaptation = Adaptation::default();
        adaptation.note_layers("a".to_owned(), layers(Some(0), None), at(3));
        adaptation.note_layers("b".to_owned(), layers(Some(2), Some(1)), at(4));
        adaptation.note_layers("a".to_owned(), layers(None, None), at(5));
        adaptation.note_layers("a".to_owned(), layers(Some(0), None), at(9));
        adaptation.forget("b", at(10));
        adaptation.note_bandwidth(Bandwidth { estimate: 3, used: 2, wanted: 1 });
        let told = adaptation.finish(at(12));
        let expected = [("S0", 5.0), ("S2T1", 6.0), (WITHHELD, 4.0)];
        assert_eq!(told.layer_seconds, BTreeMap::from(expected.map(|(name, s)| (name.to_owned(), s))));
        assert_eq!(told.bandwidth.map(|it| it.used), Some(2));
    }
}
