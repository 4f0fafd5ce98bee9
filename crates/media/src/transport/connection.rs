//! The ICE, DTLS and SCTP side of a transport, and its outgoing RTCP.

use super::{Side, Srtp, Transport};
use crate::congestion::START_RATE;
use crate::context::Context;
use crate::dtls::{DtlsEvent, DtlsFailure, DtlsRole, Fingerprint};
use crate::event::{ControlError, DtlsState, Event, TransportCloseReason};
use crate::ice::{Changes, Credentials, Tuple};
use crate::rtcp_io;
use crate::rtcp_io::RtcpPacket;
use crate::sctp::{Payload, SctpEvent};
use crate::srtp::{Inbound, KeyingMaterial, Outbound, Profile};
use crate::timer::Timer;
use rand::Rng;
use std::time::Duration;

/// A data-channel message from the client.
#[derive(Debug)]
pub(crate) struct DataReceived {
    pub(crate) stream: u16,
    pub(crate) payload: Payload,
}

/// An event of a transport, for its router.
#[derive(Debug)]
pub(crate) enum Happened {
    State,
    Data(DataReceived),
    /// The client closed a data channel.
    StreamClosed(u16),
    Closed(TransportCloseReason),
}

impl Transport {
    /// Starts the handshake. A repeated call with the same parameters is no error.
    pub(crate) fn connect(
        &mut self,
        role: DtlsRole,
        remote: Vec<Fingerprint>,
        ctx: &mut Context<'_>,
    ) -> Result<Vec<Happened>, ControlError> {
        if let Some(connected) = &self.peer {
            let same = *connected == (role, remote);
            return if same { Ok(Vec::new()) } else { Err(ControlError::AlreadyConnected) };
        }
        self.dtls
            .start(ctx.now, role, remote.clone())
            .map_err(|error| ControlError::InvalidParameters(error.to_string()))?;
        self.peer = Some((role, remote));
        self.dtls_state = DtlsState::Connecting;
        let mut happened = vec![Happened::State];
        self.pump(&mut happened, ctx);
        Ok(happened)
    }

    /// Begins an ICE restart. The previous username fragment stays valid until the client's first valid check
    /// with the new one; older ones become invalid.
    pub(crate) fn restart_ice(&mut self, credentials: Credentials, ctx: &mut Context<'_>) {
        self.usernames.push(credentials.username_fragment.clone());
        self.ice.restart(credentials);
        self.retire_usernames(ctx);
    }

    /// Handles a STUN datagram.
    pub(crate) fn receive_stun(
        &mut self,
        tuple: Tuple,
        datagram: &[u8],
        ctx: &mut Context<'_>,
    ) -> Result<Vec<Happened>, StunRejected> {
        let handled = self.ice.handle_datagram(ctx.now, tuple, datagram).map_err(|_| StunRejected)?;
        if let Some(reply) = handled.reply {
            ctx.outbox.transmits.push_back((tuple, reply));
        }
        self.retire_usernames(ctx);
        let mut happened = Vec::new();
        self.after_ice(handled.changes, &mut happened, ctx);
        Ok(happened)
    }

    pub(crate) fn receive_dtls(&mut self, datagram: &[u8], ctx: &mut Context<'_>) -> Vec<Happened> {
        self.dtls.handle_datagram(ctx.now, datagram);
        let mut happened = Vec::new();
        self.pump(&mut happened, ctx);
        happened
    }

    pub(crate) fn expire_ice(&mut self, ctx: &mut Context<'_>) -> Vec<Happened> {
        let changes = self.ice.handle_timeout(ctx.now);
        let mut happened = Vec::new();
        self.after_ice(changes, &mut happened, ctx);
        happened
    }

    pub(crate) fn expire_dtls(&mut self, ctx: &mut Context<'_>) -> Vec<Happened> {
        self.dtls.handle_timeout(ctx.now);
        let mut happened = Vec::new();
        self.pump(&mut happened, ctx);
        happened
    }

    pub(crate) fn expire_sctp(&mut self, ctx: &mut Context<'_>) -> Vec<Happened> {
        self.sctp.handle_timeout(ctx.now);
        let mut happened = Vec::new();
        self.pump(&mut happened, ctx);
        happened
    }

    /// Handles pending events of DTLS and SCTP, sends their packets, and sets their timers.
    pub(crate) fn pump(&mut self, happened: &mut Vec<Happened>, ctx: &mut Context<'_>) {
        while let Some(event) = self.dtls.poll_event() {
            self.handle_dtls_event(event, happened, ctx);
        }
        while let Some(event) = self.sctp.poll_event() {
            match event {
                SctpEvent::Message { stream, payload } => {
                    happened.push(Happened::Data(DataReceived { stream, payload }))
                }
                SctpEvent::StreamClosed { stream } => happened.push(Happened::StreamClosed(stream)),
                SctpEvent::Dropped(_) => ctx.counters.data_messages_dropped += 1,
                SctpEvent::Connected | SctpEvent::Closed => {}
            }
        }
        while self.path_has_room()
            && let Some(packet) = self.sctp.poll_packet(ctx.now)
        {
            if self.dtls.write(ctx.now, &packet).is_err() {
                ctx.counters.sctp_rejected += 1;
            }
            if let Side::Downlink(downlink) = &mut self.side {
                downlink.path.spend(packet.len());
            }
        }
        self.flush_dtls(ctx);
        self.timers.set(Timer::Sctp, self.sctp.poll_timeout());
    }

    /// Sends DTLS close_notify to the client.
    pub(crate) fn close(&mut self, ctx: &mut Context<'_>) {
        self.dtls.close(ctx.now);
        self.flush_dtls(ctx);
    }

    /// Sends RTCP, in datagrams that fit any path.
    pub(crate) fn send_rtcp(&mut self, packets: &[RtcpPacket], ctx: &mut Context<'_>) {
        self.send_compounds(rtcp_io::compounds(packets), ctx);
    }

    /// Seals and sends RTCP datagrams.
    pub(crate) fn send_compounds(&mut self, compounds: Vec<Vec<u8>>, ctx: &mut Context<'_>) {
        let (Some(&tuple), Some(srtp)) = (self.ice.selected(), &mut self.srtp) else { return };
        for mut compound in compounds {
            if let Side::Downlink(downlink) = &mut self.side
                && !downlink.path.admits_report(compound.len())
            {
                ctx.counters.unproven_withheld += 1;
                continue;
            }
            if srtp.outbound.seal_rtcp(&mut compound).is_ok() {
                ctx.outbox.transmits.push_back((tuple, compound.into()));
            }
        }
    }

    /// Removes username fragments that the ICE agent has stopped accepting.
    fn retire_usernames(&mut self, ctx: &mut Context<'_>) {
        let retired = self.usernames.extract_if(.., |username| !self.ice.accepts(username));
        ctx.outbox.forgotten_usernames.extend(retired);
    }

    fn after_ice(&mut self, changes: Changes, happened: &mut Vec<Happened>, ctx: &mut Context<'_>) {
        if let Side::Downlink(downlink) = &mut self.side {
            changes.forgotten.iter().for_each(|tuple| downlink.path.forget(*tuple));
        }
        let forgotten = changes.forgotten.into_iter().map(|tuple| (tuple, self.address));
        ctx.outbox.forgotten_tuples.extend(forgotten);
        self.timers.set(Timer::Ice, self.ice.poll_timeout());
        if changes.state {
            happened.push(Happened::State);
        }
        if changes.selected {
            self.follow_client(ctx);
            self.flush_dtls(ctx);
        }
    }

    /// The client has changed its address: asks for a proof at once.
    fn follow_client(&mut self, ctx: &mut Context<'_>) {
        let Side::Downlink(downlink) = &mut self.side else { return };
        match self.ice.selected() {
            // The handshake will prove it.
            Some(_) if self.srtp.is_none() => {}
            Some(&tuple) => {
                if downlink.path.enter(tuple, ctx.rng.next_u64(), downlink.transport_sequence, ctx.now) {
                    if let Some(congestion) = &mut downlink.congestion {
                        congestion.path_changed(START_RATE, ctx.now);
                    }
                    ctx.counters.paths_doubted += 1;
                    self.timers.set(Timer::Report, Some(ctx.now));
                }
            }
            None => ctx.counters.egress_undeliverable += downlink.path.drop_held(ctx.now) as u64,
        }
    }

    fn path_has_room(&self) -> bool {
        match &self.side {
            Side::Uplink(_) => true,
            Side::Downlink(downlink) => downlink.path.has_room(),
        }
    }

    fn flush_dtls(&mut self, ctx: &mut Context<'_>) {
        if let Some(&tuple) = self.ice.selected() {
            while let Some(datagram) = self.dtls.poll_transmit() {
                ctx.outbox.transmits.push_back((tuple, datagram));
            }
        }
        self.timers.set(Timer::Dtls, self.dtls.poll_timeout());
    }

    fn handle_dtls_event(&mut self, event: DtlsEvent, happened: &mut Vec<Happened>, ctx: &mut Context<'_>) {
        match event {
            DtlsEvent::Connected { profile, keying_material, is_client } => {
                self.srtp = Srtp::new(profile, keying_material.as_ref(), is_client);
                self.dtls_state = if self.srtp.is_some() { DtlsState::Connected } else { DtlsState::Failed };
                self.timers.set(Timer::Report, Some(ctx.now + REPORT_INTERVAL));
                if let (Side::Downlink(downlink), Some(&tuple)) = (&mut self.side, self.ice.selected()) {
                    downlink.path.trust(tuple);
                }
                happened.push(Happened::State);
            }
            DtlsEvent::ApplicationData(packet) => {
                if self.sctp.handle_packet(ctx.now, packet).is_err() {
                    ctx.counters.sctp_rejected += 1;
                }
            }
            DtlsEvent::Dropped(records) => ctx.counters.dtls_rejected += u64::from(records),
            DtlsEvent::Restarted(times) => ctx.counters.handshakes_restarted += u64::from(times),
            DtlsEvent::Closed => {
                self.dtls_state = DtlsState::Closed;
                happened.extend([Happened::State, Happened::Closed(TransportCloseReason::DtlsClosed)]);
            }
            DtlsEvent::Failed(failure) => {
                match failure {
                    DtlsFailure::FingerprintMismatch => ctx.counters.fingerprint_mismatches += 1,
                    DtlsFailure::NoSrtpProfile
                    | DtlsFailure::Alert
                    | DtlsFailure::TimedOut
                    | DtlsFailure::Protocol(_) => ctx.counters.handshakes_failed += 1,
                }
                self.dtls_state = DtlsState::Failed;
                happened.push(Happened::State);
            }
        }
    }

    pub(crate) fn state_event(&self) -> Event {
        Event::TransportState { transport: self.id, ice: self.ice.state(), dtls: self.dtls_state }
    }
}

/// ICE refused a datagram.
#[derive(Debug)]
pub(crate) struct StunRejected;

impl Srtp {
    fn new(profile: Profile, exported: &[u8], is_client: bool) -> Option<Self> {
        let keys = KeyingMaterial::split(profile, exported).ok()?;
        let (ours, theirs) = if is_client { (keys.client, keys.server) } else { (keys.server, keys.client) };
        Some(Self { inbound: Inbound::new(&theirs), outbound: Outbound::new(&ours) })
    }
}

pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);
