//! Transport-wide feedback with arrival times (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), as
//! libwebrtc sends it: one list of all packets of the transport since the last report.

/// Arrivals that are not reported yet.
#[derive(Debug, Default)]
pub struct TwccRecorder {
    /// Unwrapped transport sequence number and arrival; in order of number once reported.
    arrivals: Vec<(u64, u64)>,
    highest: Option<u64>,
    reports: u8,
}

impl TwccRecorder {
    /// Notes a packet by its transport-wide number, with its arrival in ns by any clock. Of more than 400 packets between
    /// two reports the rest is left out.
    pub fn record(&mut self, sequence: u16, arrival_ns: u64) {
        let highest = self.highest.unwrap_or(u64::from(sequence) + (1 << 16));
        let distance = i64::from(sequence.wrapping_sub(highest as u16).cast_signed());
        let index = highest.saturating_add_signed(distance);
        self.highest = Some(highest.max(index));
        if self.arrivals.len() < MAX_ARRIVALS {
            self.arrivals.push((index, arrival_ns));
        }
    }

    /// Appends a feedback packet about all arrivals since the last one; nothing if there are none.
    pub fn report(&mut self, sender_ssrc: u32, media_ssrc: u32, packet: &mut Vec<u8>) {
        self.arrivals.sort_unstable();
        self.arrivals.dedup_by_key(|(index, _)| *index);
        let (Some(&(base, first_ns)), Some(&(last, _))) = (self.arrivals.first(), self.arrivals.last())
        else {
            return;
        };
        let reference = first_ns / REFERENCE_UNIT_NS;
        let mut statuses = Statuses::default();
        let mut deltas = Vec::with_capacity(2 * self.arrivals.len());
        let mut previous_units = reference * UNITS_PER_REFERENCE;
        let mut next = base;
        for &(index, arrival_ns) in &self.arrivals {
            (next..index).for_each(|_| statuses.push(NOT_RECEIVED));
            next = index + 1;
            let units = arrival_ns / UNIT_NS;
            let delta = units.cast_signed() - previous_units.cast_signed();
            previous_units = units;
            match u8::try_from(delta) {
                Ok(small) => {
                    statuses.push(SMALL_DELTA);
                    deltas.push(small);
                }
                Err(_) => {
                    statuses.push(LARGE_DELTA);
                    let large = delta.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
                    deltas.extend_from_slice(&large.to_be_bytes());
                }
            }
        }
        let chunks = statuses.finish();
        let count = last - base + 1;
        self.write(
            packet,
            [sender_ssrc, media_ssrc],
            (base as u16, count as u16, reference),
            &chunks,
            &deltas,
        );
        self.reports = self.reports.wrapping_add(1);
        self.arrivals.clear();
    }

    fn write(
        &self,
        packet: &mut Vec<u8>,
        ssrcs: [u32; 2],
        (base, count, reference): (u16, u16, u64),
        chunks: &[u16],
        deltas: &[u8],
    ) {
        let content = HEADER_LEN + 2 * chunks.len() + deltas.len();
        let length = content.next_multiple_of(4);
        let padding = length - content;
        let has_padding = if padding > 0 { 0x20 } else { 0 };
        packet.extend_from_slice(&[0x80 | has_padding | FORMAT, TRANSPORT_FEEDBACK]);
        packet.extend_from_slice(&((length / 4 - 1) as u16).to_be_bytes());
        ssrcs.iter().for_each(|ssrc| packet.extend_from_slice(&ssrc.to_be_bytes()));
        packet.extend_from_slice(&base.to_be_bytes());
        packet.extend_from_slice(&count.to_be_bytes());
        let [.., a, b, c] = reference.to_be_bytes();
        packet.extend_from_slice(&[a, b, c, self.reports]);
        chunks.iter().for_each(|chunk| packet.extend_from_slice(&chunk.to_be_bytes()));
        packet.extend_from_slice(deltas);
        if padding > 0 {
            packet.resize(packet.len() + padding - 1, 0);
            packet.push(padding as u8);
        }
    }
}

/// Encodes two-bit statuses: equal ones as run lengths, others as vectors of seven (§3.1.3 and §3.1.4).
#[derive(Default)]
struct Statuses {
    chunks: Vec<u16>,
    pending: Vec<u16>,
}

impl Statuses {
    fn push(&mut self, status: u16) {
        let uniform = self.pending.iter().all(|other| Some(other) == self.pending.first());
        let same = self.pending.first().is_none_or(|first| *first == status);
        if uniform && self.pending.len() >= PER_VECTOR && (!same || self.pending.len() == MAX_RUN) {
            self.flush_run();
        } else if self.pending.len() == PER_VECTOR && !uniform {
            self.flush_vector();
        }
        self.pending.push(status);
    }

    fn finish(mut self) -> Vec<u16> {
        match self.pending.first() {
            Some(first) if self.pending.iter().all(|status| status == first) => self.flush_run(),
            Some(_) => self.flush_vector(),
            None => {}
        }
        self.chunks
    }

    fn flush_run(&mut self) {
        let status = self.pending.first().copied().unwrap_or(NOT_RECEIVED);
        self.chunks.push(status << 13 | self.pending.len() as u16);
        self.pending.clear();
    }

    fn flush_vector(&mut self) {
        let vector = self.pending.iter().enumerate();
        self.chunks.push(vector.fold(0xc000, |chunk, (index, status)| chunk | status << (12 - 2 * index)));
        self.pending.clear();
    }
}

/// Fixed parts of the packet: RTCP header, two SSRCs, base and count, reference time and report number.
const HEADER_LEN: usize = 20;
const FORMAT: u8 = 15;
const TRANSPORT_FEEDBACK: u8 = 205;
const NOT_RECEIVED: u16 = 0;
const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;
const PER_VECTOR: usize = 7;
const MAX_RUN: usize = 0x1fff;
const UNIT_NS: u64 = 250_000;
const REFERENCE_UNIT_NS: u64 = 64_000_000;
const UNITS_PER_REFERENCE: u64 = REFERENCE_UNIT_NS / UNIT_NS;
/// The number of statuses for which a report fits one datagram.
const MAX_ARRIVALS: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;
    use rtc_shared::marshal::Unmarshal;
    use rtcp::transport_feedbacks::transport_layer_cc::{PacketStatusChunk, SymbolTypeTcc, TransportLayerCc};

    #[test]
    fn another_parser_finds_every_arrival_where_it_was() {
        let start = 1_795_000_000_000_000_000;
        let arrivals = [(65_533, 0), (65_534, 250), (65_535, 500), (2, 90_000), (3, 90_250), (9, 90_000)];
        let report = report(arrivals.map(|(sequence, us)| (sequence, start + us * 1_000)));
        assert_eq!((report.base_sequence_number, report.packet_status_count), (65_533, 13));
        let mut expected = [SymbolTypeTcc::PacketNotReceived; 13];
        for (sequence, _) in arrivals {
            expected[usize::from(sequence.wrapping_sub(65_533_u16))] =
                SymbolTypeTcc::PacketReceivedSmallDelta;
        }
        // Too long after the previous arrival, or before it: needs a large delta.
        expected[5] = SymbolTypeTcc::PacketReceivedLargeDelta;
        expected[12] = SymbolTypeTcc::PacketReceivedLargeDelta;
        assert_eq!(symbols(&report)[..13], expected);
        let mut at = u64::from(report.reference_time) * 64_000;
        let times: Vec<u64> = report
            .recv_deltas
            .iter()
            .map(|delta| {
                at = at.saturating_add_signed(delta.delta);
                at
            })
            .collect();
        let relative: Vec<u64> = times.iter().map(|at| at - times[0]).collect();
        assert_eq!(relative, [0, 250, 500, 90_000, 90_250, 90_000]);
    }

    #[test]
    fn a_long_run_is_one_chunk_and_reports_are_numbered() {
        let mut recorder = TwccRecorder::default();
        for number in 0..2_u8 {
            (0..100).for_each(|sequence| recorder.record(sequence + 100 * u16::from(number), 1_000_000_000));
            let mut packet = Vec::new();
            recorder.report(1, 2, &mut packet);
            let report = TransportLayerCc::unmarshal(&mut &packet[..]).unwrap();
            assert_eq!((report.fb_pkt_count, report.packet_chunks.len()), (number, 1));
        }
        let mut packet = Vec::new();
        recorder.report(1, 2, &mut packet);
        assert!(packet.is_empty(), "there is nothing more to report");
    }

    fn report<const N: usize>(arrivals: [(u16, u64); N]) -> TransportLayerCc {
        let mut recorder = TwccRecorder::default();
        arrivals.into_iter().for_each(|(sequence, at)| recorder.record(sequence, at));
        let mut packet = Vec::new();
        recorder.report(1, 2, &mut packet);
        TransportLayerCc::unmarshal(&mut &packet[..]).unwrap()
    }

    fn symbols(report: &TransportLayerCc) -> Vec<SymbolTypeTcc> {
        let chunk = |chunk: &PacketStatusChunk| match chunk {
            PacketStatusChunk::RunLengthChunk(run) => vec![run.packet_status_symbol; run.run_length.into()],
            PacketStatusChunk::StatusVectorChunk(vector) => vector.symbol_list.clone(),
        };
        report.packet_chunks.iter().flat_map(chunk).collect()
    }
}
