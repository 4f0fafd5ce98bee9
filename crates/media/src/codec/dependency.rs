use super::bits::BitReader;

/// Reads the dependency descriptors of one stream in the order they arrive, remembering the template structure
/// that its descriptors refer to (AV1 RTP specification, appendix A). Holds about 1 KiB and no heap.
///
/// Give it authenticated packets only: a forged structure would misplace every packet after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DependencyReader {
    current: Option<Structure>,
}

/// The properties of a packet's frame, from the dependency descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DependencyFrame {
    /// 0..=3.
    pub(crate) spatial: u8,
    /// 0..=7.
    pub(crate) temporal: u8,
    pub(crate) start_of_frame: bool,
    pub(crate) end_of_frame: bool,
    /// Increases by one per frame in decode order, over all layers, and wraps.
    pub(crate) frame_number: u16,
    /// The packet carries a template structure: it is the first of a coded video sequence.
    pub(crate) has_structure: bool,
    /// Which decode targets the sender produces, bit i for target i, in packets that say so: those with a
    /// structure, and those that change it.
    pub(crate) active_decode_targets: Option<u32>,
    /// Forwarding of the frame's temporal layer may begin here, where the layer just below is forwarded.
    pub(crate) switching_up: bool,
    /// Bit s: the frame is in no decode target that ends at spatial layer s.
    pub(super) spared: u8,
    /// The number of spatial layers in the active decode targets, where they are said; else 0.
    pub(super) spatial_layers: u8,
    pub(super) dtis: Dtis,
}

/// How a frame relates to a decode target (table A.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dti {
    NotPresent,
    Discardable,
    /// Everything after it in the target is decodable if this frame is.
    Switch,
    Required,
}

/// Why a dependency descriptor cannot be used. The packet can still be forwarded by what else is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DependencyError {
    #[error("the dependency descriptor ends too early")]
    Truncated,
    #[error("the template structure has more templates or layers than there can be")]
    InvalidStructure,
    #[error("no template structure has arrived yet")]
    NoStructure,
    #[error("the template belongs to a structure that is not known")]
    UnknownTemplate,
}

impl DependencyReader {
    /// Reads one extension value. A failed read changes nothing. Custom frame differences and chains are not
    /// needed for forwarding and not looked at.
    pub(crate) fn read(&mut self, extension: &[u8]) -> Result<DependencyFrame, DependencyError> {
        let mut reader = BitReader::new(extension);
        let mandatory = Mandatory::read(&mut reader).ok_or(DependencyError::Truncated)?;
        if extension.len() <= MANDATORY_LEN {
            let structure = self.current.as_ref().ok_or(DependencyError::NoStructure)?;
            return structure.frame(&mandatory, None);
        }
        let extended = Extended::read(&mut reader).ok_or(DependencyError::Truncated)?;
        if !extended.has_structure {
            let structure = self.current.as_ref().ok_or(DependencyError::NoStructure)?;
            return extended.frame(&mandatory, structure, &mut reader);
        }
        let structure = Structure::read(&mut reader, mandatory.frame_number)?;
        let frame = extended.frame(&mandatory, &structure, &mut reader)?;
        if !self.current.as_ref().is_some_and(|current| current.supersedes(&structure)) {
            self.current = Some(structure);
        }
        Ok(frame)
    }
}

#[cfg(test)]
impl DependencyFrame {
    /// Decode targets of the frame's structure, 1..=32.
    pub(crate) fn decode_targets(&self) -> u8 {
        self.dtis.count
    }

    /// How the frame relates to a decode target; `NotPresent` for a target that the structure lacks.
    pub(crate) fn dti(&self, decode_target: u8) -> Dti {
        self.dtis.of(decode_target)
    }
}

struct Mandatory {
    start_of_frame: bool,
    end_of_frame: bool,
    template_id: u8,
    frame_number: u16,
}

impl Mandatory {
    fn read(reader: &mut BitReader<'_>) -> Option<Self> {
        Some(Self {
            start_of_frame: reader.flag()?,
            end_of_frame: reader.flag()?,
            template_id: reader.bits(6)? as u8,
            frame_number: reader.bits(16)? as u16,
        })
    }
}

/// The flags that open the extended part of a descriptor.
struct Extended {
    has_structure: bool,
    has_active_decode_targets: bool,
    has_custom_dtis: bool,
}

impl Extended {
    fn read(reader: &mut BitReader<'_>) -> Option<Self> {
        let extended = Self {
            has_structure: reader.flag()?,
            has_active_decode_targets: reader.flag()?,
            has_custom_dtis: reader.flag()?,
        };
        let _custom_fdiffs_and_chains = reader.bits(2)?;
        Some(extended)
    }

    /// Reads what follows the structure.
    fn frame(
        &self,
        mandatory: &Mandatory,
        structure: &Structure,
        reader: &mut BitReader<'_>,
    ) -> Result<DependencyFrame, DependencyError> {
        let targets = structure.decode_targets;
        let active = if self.has_active_decode_targets {
            Some(reader.bits(targets.into()).ok_or(DependencyError::Truncated)?)
        } else {
            self.has_structure.then_some(u32::MAX >> (u32::BITS - u32::from(targets)))
        };
        let custom = if self.has_custom_dtis {
            Some(Dtis::read(reader, targets).ok_or(DependencyError::Truncated)?)
        } else {
            None
        };
        let frame = structure.frame(mandatory, custom)?;
        Ok(DependencyFrame {
            has_structure: self.has_structure,
            active_decode_targets: active,
            spatial_layers: active.map_or(0, |active| structure.spatial_layers(active)),
            ..frame
        })
    }
}

/// A frame dependency structure: the templates that frames refer to.
#[derive(Clone, Debug)]
struct Structure {
    /// Number of the frame whose descriptor contained the structure.
    frame_number: u16,
    template_id_offset: u8,
    template_count: u8,
    decode_targets: u8,
    templates: [Template; MAX_TEMPLATES],
    /// The highest layer that each decode target includes.
    target_layers: [Layer; MAX_DECODE_TARGETS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Template {
    layer: Layer,
    dtis: Dtis,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layer {
    spatial: u8,
    temporal: u8,
}

impl Structure {
    fn read(reader: &mut BitReader<'_>, frame_number: u16) -> Result<Self, DependencyError> {
        let template_id_offset = reader.bits(6).ok_or(DependencyError::Truncated)? as u8;
        let decode_targets = reader.bits(5).ok_or(DependencyError::Truncated)? as u8 + 1;
        let mut structure = Self {
            frame_number,
            template_id_offset,
            template_count: 0,
            decode_targets,
            templates: [Template::default(); MAX_TEMPLATES],
            target_layers: [Layer::default(); MAX_DECODE_TARGETS],
        };
        structure.read_layers(reader)?;
        structure.read_dtis(reader).ok_or(DependencyError::Truncated)?;
        structure.skip_the_rest(reader).ok_or(DependencyError::Truncated)?;
        Ok(structure)
    }

    /// `template_layers()`
    fn read_layers(&mut self, reader: &mut BitReader<'_>) -> Result<(), DependencyError> {
        let mut layer = Layer::default();
        for template in &mut self.templates {
            template.layer = layer;
            self.template_count += 1;
            match reader.bits(2).ok_or(DependencyError::Truncated)? {
                0 => {}
                1 => layer.temporal += 1,
                2 => layer = Layer { spatial: layer.spatial + 1, temporal: 0 },
                _ => return Ok(()),
            }
            if layer.temporal > MAX_TEMPORAL_ID || layer.spatial > MAX_SPATIAL_ID {
                return Err(DependencyError::InvalidStructure);
            }
        }
        Err(DependencyError::InvalidStructure)
    }

    /// `template_dtis()`
    fn read_dtis(&mut self, reader: &mut BitReader<'_>) -> Option<()> {
        for template in self.templates.iter_mut().take(self.template_count.into()) {
            template.dtis = Dtis::read(reader, self.decode_targets)?;
            for (target, top) in (0..self.decode_targets).zip(&mut self.target_layers) {
                if template.dtis.of(target) != Dti::NotPresent {
                    top.spatial = top.spatial.max(template.layer.spatial);
                    top.temporal = top.temporal.max(template.layer.temporal);
                }
            }
        }
        Some(())
    }

    /// `template_fdiffs()`, `template_chains()` and `render_resolutions()`, only to find what follows them.
    fn skip_the_rest(&self, reader: &mut BitReader<'_>) -> Option<()> {
        for _ in 0..self.template_count {
            while reader.flag()? {
                reader.bits(4)?;
            }
        }
        let chains = reader.non_symmetric(u32::from(self.decode_targets) + 1)?;
        if chains > 0 {
            for _ in 0..self.decode_targets {
                reader.non_symmetric(chains + 1)?;
            }
            for _ in 0..u32::from(self.template_count) * chains {
                reader.bits(4)?;
            }
        }
        if reader.flag()? {
            let max_spatial = self.templates().last().map_or(0, |template| template.layer.spatial);
            for _ in 0..=max_spatial {
                reader.bits(32)?;
            }
        }
        Some(())
    }

    fn frame(&self, mandatory: &Mandatory, custom: Option<Dtis>) -> Result<DependencyFrame, DependencyError> {
        let index = mandatory.template_id.wrapping_sub(self.template_id_offset) % MAX_TEMPLATES as u8;
        let template = self.templates().get(usize::from(index)).ok_or(DependencyError::UnknownTemplate)?;
        let Layer { spatial, temporal } = template.layer;
        let dtis = custom.unwrap_or(template.dtis);
        Ok(DependencyFrame {
            spatial,
            temporal,
            start_of_frame: mandatory.start_of_frame,
            end_of_frame: mandatory.end_of_frame,
            frame_number: mandatory.frame_number,
            has_structure: false,
            active_decode_targets: None,
            switching_up: self.switches_up(template.layer, dtis),
            spared: self.spared(template.layer, dtis),
            spatial_layers: 0,
            dtis,
        })
    }

    /// A frame opens its layer if it is a switching point of a decode target that includes no higher spatial
    /// layer. A discardable frame does so too in the target that ends at its layer: nothing there refers to it,
    /// and in every predefined structure it refers to lower temporal layers only.
    fn switches_up(&self, layer: Layer, dtis: Dtis) -> bool {
        (0..self.decode_targets).zip(&self.target_layers).any(|(target, top)| match dtis.of(target) {
            Dti::Switch => top.spatial == layer.spatial,
            Dti::Discardable => *top == layer,
            Dti::NotPresent | Dti::Required => false,
        })
    }

    /// The spatial layers above the frame's own whose decode targets all do without the frame.
    fn spared(&self, layer: Layer, dtis: Dtis) -> u8 {
        let (mut above, mut needed) = (0u8, 0u8);
        for (target, top) in (0..self.decode_targets).zip(&self.target_layers) {
            if top.spatial > layer.spatial && top.temporal >= layer.temporal {
                above |= 1 << top.spatial;
                needed |= u8::from(dtis.of(target) != Dti::NotPresent) << top.spatial;
            }
        }
        above & !needed
    }

    fn spatial_layers(&self, active: u32) -> u8 {
        let targets = (0..self.decode_targets).zip(&self.target_layers);
        let active = targets.filter(|(target, _)| active >> target & 1 == 1);
        active.map(|(_, top)| top.spatial + 1).max().unwrap_or(0)
    }

    /// Whether `other`, just read, is a late or retransmitted copy of an older structure. If the frame number
    /// is far behind, the sender has restarted instead.
    fn supersedes(&self, other: &Self) -> bool {
        (1..=MAX_LATE_FRAMES).contains(&self.frame_number.wrapping_sub(other.frame_number))
    }

    fn templates(&self) -> &[Template] {
        self.templates.get(..self.template_count.into()).unwrap_or_default()
    }
}

/// Decode target indications, two bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dtis {
    /// Target 0 in the lowest bits.
    packed: u64,
    count: u8,
}

impl Dtis {
    fn read(reader: &mut BitReader<'_>, count: u8) -> Option<Self> {
        let mut packed = 0;
        for target in 0..count {
            packed |= u64::from(reader.bits(2)?) << (2 * target);
        }
        Some(Self { packed, count })
    }

    fn of(self, target: u8) -> Dti {
        if target >= self.count {
            return Dti::NotPresent;
        }
        match self.packed >> (2 * target) & 0b11 {
            0 => Dti::NotPresent,
            1 => Dti::Discardable,
            2 => Dti::Switch,
            _ => Dti::Required,
        }
    }
}

/// A descriptor of this many bytes has no extended part.
const MANDATORY_LEN: usize = 3;
/// Table A.1.
const MAX_TEMPLATES: usize = 64;
const MAX_TEMPORAL_ID: u8 = 7;
const MAX_SPATIAL_ID: u8 = 3;
/// The largest value of a five-bit field, plus one.
const MAX_DECODE_TARGETS: usize = 32;
/// More frames than any retransmission can be late: over 4 s of three spatial layers at 30 frames/s.
const MAX_LATE_FRAMES: u16 = 400;

#[cfg(test)]
mod tests;
