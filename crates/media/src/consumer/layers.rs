//! Chooses which of a producer's layers a consumer receives.

use super::Granted;
use super::ladder::Ladder;
use crate::allocation::Layer;
use crate::codec::Descriptor;
use crate::ortc::Layers;

/// The layers one consumer wants and the ones it is getting. Simulcast layers are encodings of their own; the
/// layers of a scalable (SVC) stream are parts of its only encoding.
#[derive(Debug)]
pub(crate) struct LayerSelection {
    form: Form,
    preferred_spatial: u8,
    preferred_temporal: u8,
    /// Limited to the lowest layers, whatever the preference.
    lowest: bool,
    /// What the path to the client carries, whatever the preference.
    granted: Option<Layer>,
    /// Only the lowest frame rate, until another encoding takes over.
    thinned: bool,
    /// The encoding to forward; `None` until one is being sent.
    target: Option<u8>,
    progress: Progress,
    /// Of an encoding with spatial layers; for others it says nothing.
    ladder: Ladder,
}

/// How a producer sends spatial layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As encodings of their own.
    Simulcast,
    /// As parts of the only encoding, as far as there are any.
    Layered,
    /// Not at all.
    Plain,
}

/// The layers forwarded and seen of the current encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// The highest layers that are forwarded.
    spatial: u8,
    temporal: u8,
    /// The highest layers received since the source was started.
    seen_spatial: u8,
    seen_temporal: u8,
}

impl LayerSelection {
    pub(crate) fn new(form: Form, preferred: Option<Layers>) -> Self {
        let mut selection = Self {
            form,
            preferred_spatial: HIGHEST,
            preferred_temporal: HIGHEST,
            lowest: false,
            granted: None,
            thinned: false,
            target: None,
            progress: Progress { spatial: HIGHEST, temporal: HIGHEST, seen_spatial: 0, seen_temporal: 0 },
            ladder: Ladder::default(),
        };
        if let Some(layers) = preferred {
            selection.prefer(layers);
        }
        selection
    }

    pub(crate) fn prefer(&mut self, layers: Layers) {
        self.preferred_spatial = layers.spatial;
        self.preferred_temporal = layers.temporal.unwrap_or(HIGHEST);
    }

    /// Limits the selection to the lowest layers, or lifts the limit. Takes effect like a change of
    /// preference.
    pub(crate) fn hold_lowest(&mut self, lowest: bool) {
        self.lowest = lowest;
    }

    pub(crate) fn allow(&mut self, granted: Granted) {
        self.granted = match granted {
            Granted::UpTo(layer) => Some(layer),
            Granted::All | Granted::Nothing => None,
        };
    }

    pub(crate) fn thin_out(&mut self, thinned: bool) {
        self.thinned = thinned;
    }

    pub(crate) fn preferred(&self) -> Layer {
        Layer { spatial: self.preferred_spatial, temporal: self.preferred_temporal }
    }

    pub(crate) fn target(&self) -> Option<u8> {
        self.target
    }

    /// Targets the highest active encoding that is not above the preferred one, else the lowest active one.
    /// `active` has a bit per encoding. True when the target changed.
    pub(crate) fn retarget(&mut self, active: u8) -> bool {
        let wanted = match self.form {
            Form::Simulcast => self.wanted_spatial().min(7),
            Form::Layered | Form::Plain => 0,
        };
        let eligible = active & (u8::MAX >> (7 - wanted));
        let target = match (eligible, active) {
            (0, 0) => self.target,
            (0, above) => Some(above.trailing_zeros() as u8),
            (below, _) => Some(7 - below.leading_zeros() as u8),
        };
        std::mem::replace(&mut self.target, target) != target
    }

    /// True while a scalable stream needs a key picture to switch to another spatial layer: to a higher one, or to a
    /// lower one that was left out.
    pub(crate) fn awaits_key_picture(&self) -> bool {
        if self.form != Form::Layered {
            return false;
        }
        let Ladder { announced, omitted, .. } = self.ladder;
        let reachable = self.wanted_spatial().min(self.progress.seen_spatial).min(announced);
        let top = self.top();
        top < reachable || omitted && top > reachable
    }

    /// Starts a source at one of its key frames.
    pub(crate) fn start(&mut self) {
        self.thinned = false;
        let spatial = match self.form {
            Form::Layered => self.wanted_spatial(),
            Form::Simulcast | Form::Plain => HIGHEST,
        };
        let temporal = self.wanted_temporal();
        self.progress = Progress { spatial, temporal, seen_spatial: 0, seen_temporal: 0 };
        self.ladder = Ladder::default();
    }

    /// Whether a packet of the forwarded encoding is in the layers wanted. Layers change only where a decoder can
    /// follow: down at the start of a picture, up at a switching point or key picture.
    pub(crate) fn admit(&mut self, descriptor: &Descriptor, in_order: bool) -> bool {
        if in_order && descriptor.starts_frame {
            self.step(descriptor);
        }
        if descriptor.temporal > self.progress.temporal {
            return false;
        }
        match self.form {
            Form::Simulcast | Form::Plain => true,
            Form::Layered => self.admit_spatial(descriptor, in_order),
        }
    }

    fn admit_spatial(&mut self, descriptor: &Descriptor, in_order: bool) -> bool {
        let top = self.top();
        let included = descriptor.spatial <= top;
        let spared = included && self.ladder.spares(descriptor, top);
        self.ladder.omitted |= spared && in_order;
        included && !spared
    }

    /// True if the packet ends the highest forwarded spatial layer: it is the last packet of the picture for
    /// this consumer, though perhaps not for the producer.
    pub(crate) fn ends_picture(&self, descriptor: &Descriptor) -> bool {
        self.form == Form::Layered && descriptor.ends_frame && descriptor.spatial == self.top()
    }

    /// The layers being forwarded, if `encoding` is the encoding being forwarded.
    pub(crate) fn current(&self, encoding: u8) -> Layers {
        let Progress { temporal, seen_spatial, seen_temporal, .. } = self.progress;
        let spatial = match self.form {
            Form::Simulcast => encoding,
            Form::Layered => self.top().min(seen_spatial),
            Form::Plain => 0,
        };
        Layers { spatial, temporal: Some(temporal.min(seen_temporal)) }
    }

    /// The highest spatial layer forwarded, as far as the sender's number of layers is known.
    fn top(&self) -> u8 {
        self.progress.spatial.min(self.ladder.top)
    }

    fn wanted_spatial(&self) -> u8 {
        let granted = self.granted.map_or(HIGHEST, |granted| granted.spatial);
        if self.lowest { 0 } else { self.preferred_spatial.min(granted) }
    }

    fn wanted_temporal(&self) -> u8 {
        // Below the granted size all frame rates fit.
        let granted =
            self.granted.map_or(HIGHEST, |granted| match self.preferred_spatial < granted.spatial {
                true => HIGHEST,
                false => granted.temporal,
            });
        if self.lowest || self.thinned { 0 } else { self.preferred_temporal.min(granted) }
    }

    /// Takes note of the frame that begins with this packet.
    fn step(&mut self, descriptor: &Descriptor) {
        let mut next = self.progress;
        next.seen_spatial = next.seen_spatial.max(descriptor.spatial);
        next.seen_temporal = next.seen_temporal.max(descriptor.temporal);
        if descriptor.spatial == 0 {
            next.temporal = next.temporal.min(self.wanted_temporal());
        }
        // A switching-up frame refers only to lower layers, so the layer just below must have been forwarded.
        let follows = descriptor.temporal == next.temporal.saturating_add(1);
        if follows && descriptor.switching_up && descriptor.temporal <= self.wanted_temporal() {
            next.temporal = descriptor.temporal;
        }
        if self.form == Form::Layered {
            self.ladder.step(descriptor, self.top());
            next.spatial = self.next_spatial(descriptor);
        }
        // Most frames change nothing, and what is not written stays clean in the caches.
        if next != self.progress {
            self.progress = next;
        }
    }

    fn next_spatial(&self, descriptor: &Descriptor) -> u8 {
        let (present, wanted) = (self.progress.spatial, self.wanted_spatial());
        match (descriptor.spatial, descriptor.keyframe, self.ladder.omitted) {
            (0, true, _) => wanted,
            (0, false, false) => present.min(wanted),
            (0, false, true) | (1.., ..) => present,
        }
    }
}

const HIGHEST: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_encoding_being_sent_up_to_the_preferred_one_is_the_target() {
        let mut selection = LayerSelection::new(Form::Simulcast, None);
        assert_eq!(selection.target(), None);
        assert!(selection.retarget(0b001));
        assert_eq!(selection.target(), Some(0));
        assert!(selection.retarget(0b111));
        assert_eq!(selection.target(), Some(2));
        selection.prefer(layers(1, None));
        assert!(selection.retarget(0b111));
        assert_eq!(selection.target(), Some(1));
        assert!(!selection.retarget(0b010));
        selection.retarget(0b100);
        assert_eq!(selection.target(), Some(2), "something above the wish is better than nothing");
        assert!(!selection.retarget(0), "silence keeps the aim");
    }

    #[test]
    fn a_lower_spatial_wish_takes_hold_at_the_next_picture_and_a_higher_one_at_a_key_picture() {
        let mut selection = LayerSelection::new(Form::Layered, None);
        selection.start();
        (0..3).for_each(|spatial| assert!(selection.admit(&frame(spatial, 0), true)));
        selection.prefer(layers(1, None));
        assert!(selection.admit(&frame(2, 0), true), "the picture under way is finished");
        assert!(selection.admit(&frame(0, 0), true));
        assert!(selection.admit(&frame(1, 0), true));
        assert!(selection.ends_picture(&frame(1, 0)));
        assert!(!selection.admit(&frame(2, 0), true));
        selection.prefer(layers(2, None));
        assert!(selection.awaits_key_picture());
        assert!(selection.admit(&frame(0, 0), true) && !selection.admit(&frame(2, 0), true));
        let key = Descriptor { keyframe: true, ..frame(0, 0) };
        assert!(selection.admit(&key, true) && selection.admit(&frame(2, 0), true));
        assert!(!selection.awaits_key_picture());
    }

    #[test]
    fn temporal_layers_go_up_only_at_a_switching_point() {
        let mut selection = LayerSelection::new(Form::Simulcast, Some(layers(0, Some(0))));
        selection.start();
        assert!(selection.admit(&frame(0, 0), true) && !selection.admit(&frame(0, 2), true));
        selection.prefer(layers(0, Some(2)));
        assert!(!selection.admit(&frame(0, 2), true));
        assert!(selection.admit(&Descriptor { switching_up: true, ..frame(0, 1) }, true));
        assert!(!selection.admit(&frame(0, 2), true));
        assert!(selection.admit(&Descriptor { switching_up: true, ..frame(0, 2) }, true));
        assert_eq!(selection.current(1), layers(1, Some(2)));
    }

    #[test]
    fn held_to_the_lowest_layers_a_selection_comes_back_to_what_is_preferred() {
        let mut simulcast = LayerSelection::new(Form::Simulcast, Some(layers(1, Some(1))));
        let mut scalable = LayerSelection::new(Form::Layered, None);
        simulcast.retarget(0b111);
        scalable.start();
        scalable.admit(&frame(2, 2), true);
        for _ in 0..2 {
            for selection in [&mut simulcast, &mut scalable] {
                selection.hold_lowest(true);
            }
            assert!(simulcast.retarget(0b111));
            assert_eq!(simulcast.target(), Some(0));
            assert!(scalable.admit(&frame(0, 0), true) && !scalable.admit(&frame(1, 0), true));
            assert!(!scalable.admit(&frame(0, 1), true));
            assert!(!scalable.awaits_key_picture());
            for selection in [&mut simulcast, &mut scalable] {
                selection.hold_lowest(false);
            }
            assert!(simulcast.retarget(0b111));
            assert_eq!(simulcast.target(), Some(1));
            assert!(scalable.awaits_key_picture());
            assert!(scalable.admit(&Descriptor { keyframe: true, ..frame(0, 0) }, true));
            assert!(scalable.admit(&frame(2, 0), true));
        }
    }

    #[test]
    fn of_independent_layers_exactly_one_is_forwarded() {
        for wanted in 0..3 {
            let mut selection = LayerSelection::new(Form::Layered, Some(layers(wanted, None)));
            selection.start();
            for key in [true, false, false] {
                for spatial in 0..3 {
                    let spatial_layers = if key && spatial == 0 { 3 } else { 0 };
                    let keyframe = key && spatial == 0;
                    let spared = !1u8 << spatial;
                    let frame = Descriptor { keyframe, spared, spatial_layers, ..frame(spatial, 0) };
                    assert_eq!(selection.admit(&frame, true), spatial == wanted);
                    assert_eq!(selection.ends_picture(&frame), spatial == wanted);
                }
            }
            assert!(!selection.awaits_key_picture());
            selection.prefer(layers((wanted + 1) % 3, None));
            assert!(selection.awaits_key_picture(), "from {wanted}");
        }
    }

    #[test]
    fn layers_that_depend_in_key_pictures_only_are_left_out_in_between() {
        let mut selection = LayerSelection::new(Form::Layered, None);
        selection.start();
        let picture = |selection: &mut LayerSelection, key: bool| {
            [0, 1, 2].map(|spatial| {
                let keyframe = key && spatial == 0;
                let frame = Descriptor {
                    keyframe,
                    spared: if key && spatial < 2 { 0 } else { !1 << spatial },
                    spatial_layers: if keyframe { 3 } else { 0 },
                    inter_picture_predicted: !key,
                    inter_layer_predicted: key && spatial > 0,
                    ..frame(spatial, 0)
                };
                selection.admit(&frame, true)
            })
        };
        assert_eq!(picture(&mut selection, true), [true; 3]);
        assert_eq!(picture(&mut selection, false), [true; 3], "what depends on what is not known yet");
        assert_eq!(picture(&mut selection, false), [false, false, true]);
        selection.prefer(layers(1, None));
        assert_eq!(picture(&mut selection, false), [false, false, true], "layer 1 was left out");
        assert!(selection.awaits_key_picture());
        assert_eq!(picture(&mut selection, true), [true, true, false]);
        assert!(!selection.awaits_key_picture());
    }

    fn layers(spatial: u8, temporal: Option<u8>) -> Layers {
        Layers { spatial, temporal }
    }

    fn frame(spatial: u8, temporal: u8) -> Descriptor {
        Descriptor { starts_frame: true, ends_frame: true, spatial, temporal, ..Descriptor::default() }
    }
}
