//! Datagrams that anybody can send during a handshake: no kind of them, at no moment, ends it.

use super::*;

#[test]
fn no_garbage_at_any_moment_of_a_handshake_keeps_a_client_out() {
    for (kind, garbage) in kinds() {
        for moment in 0..4 {
            assert_survives(Story::with_client(&[CM, GCM], HashAlgorithm::Sha256), kind, &garbage, moment);
        }
    }
}

#[test]
fn no_garbage_at_any_moment_of_a_handshake_keeps_a_server_out() {
    for (kind, garbage) in kinds() {
        for moment in 0..4 {
            assert_survives(Story::with_server(&[GCM], HashAlgorithm::Sha256), kind, &garbage, moment);
        }
    }
}

#[test]
fn a_certificate_that_its_sender_cannot_sign_with_ends_nothing() {
    let mut story = Story::with_client(&[GCM], HashAlgorithm::Sha256);
    story.deliver();
    story.deliver_back();
    story.deliver();
    let stranger = Certificate::generate().unwrap();
    let der = stranger.library().certificate[0].to_vec();
    let chain = [&length(der.len() + 3)[..], &length(der.len()), &der].concat();
    let forged = [
        message(11, 2, &chain),
        message(16, 3, &[vec![32], vec![9; 32]].concat()),
        message(15, 4, &[vec![4, 3, 0, 70], vec![48; 70]].concat()),
    ];
    story.ours.handle_datagram(story.now, &handshake(&forged.concat()));
    story.run_with_timers();
    story.connected_with();
    assert_eq!(story.dropped, 3);
}

#[test]
fn another_cookie_than_the_servers_makes_us_begin_anew() {
    let mut story = Story::with_server(&[GCM], HashAlgorithm::Sha256);
    story.deliver_back();
    let request = message(3, 0, &[vec![254, 253, 20], vec![5; 20]].concat());
    story.ours.handle_datagram(story.now, &handshake(&request));
    while story.ours.poll_transmit().is_some() {}
    story.deliver();
    // A server keeps no state before the cookie.
    let config = peer_config(&story.peer_certificate, false, &[GCM]);
    story.theirs = Endpoint::new(LOCAL, TransportProtocol::UDP, Some(config));
    story.run_with_timers();
    story.connected_with();
    assert_eq!(story.restarts, 1);
}

/// Delivers the garbage before the datagram number `moment` for us.
fn assert_survives(mut story: Story, kind: &str, garbage: &[Vec<u8>], moment: usize) {
    for _ in 0..moment {
        story.step();
    }
    for datagram in garbage {
        story.ours.handle_datagram(story.now, datagram);
    }
    story.run_with_timers();
    assert!(story.theirs_connected, "{kind} before datagram {moment}, as {:?}", story.our_role);
    story.connected_with();
    let while_it_mattered = moment < 3;
    assert!(
        !while_it_mattered || story.dropped + story.restarts > 0 || kind.starts_with("harmless"),
        "{kind}"
    );
}

impl Story {
    /// Delivers one datagram to us, and what we answer.
    fn step(&mut self) {
        if let Some(transmit) = self.theirs.poll_transmit() {
            self.ours.handle_datagram(self.now, &transmit.message);
        }
        self.deliver_back();
    }

    /// Delivers datagrams and lets time pass until both ends are connected, or for 30 s.
    fn run_with_timers(&mut self) {
        loop {
            self.run();
            let due = self.ours.poll_timeout().into_iter().chain(self.theirs.poll_timeout(&PEER)).min();
            let Some(due) = due else { return };
            self.now = due.max(self.now);
            self.ours.handle_timeout(self.now);
            let _ = self.theirs.handle_timeout(PEER, self.now);
        }
    }
}

fn kinds() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let certificate = Certificate::generate().unwrap().library().certificate[0].to_vec();
    let chain = [&length(certificate.len() + 3)[..], &length(certificate.len()), &certificate].concat();
    let hello = [vec![254, 253], vec![1; 32], vec![0, 0, 0, 2, 0xC0, 0x2B, 1, 0, 0, 0]].concat();
    let every =
        |kind: u8, body: &[u8]| (0..8).map(|number| handshake(&message(kind, number, body))).collect();
    vec![
        ("a record of another protocol version", vec![record([22, 3, 3], 0, 9, &[0; 20])]),
        ("a record of an unknown minor version", vec![record([22, 254, 252], 0, 9, &[0; 20])]),
        ("a record of epoch 2", vec![record([22, 254, 253], 2, 9, &[0; 20])]),
        ("a record of the last epoch", vec![record([23, 254, 253], 0xFFFF, 9, &[0; 20])]),
        ("a record of an unknown type", vec![record([24, 254, 253], 0, 9, &[0; 20])]),
        ("an empty record", vec![record([22, 254, 253], 0, 9, &[])]),
        ("half a header", vec![record([22, 254, 253], 0, 9, &[])[..6].to_vec()]),
        ("a cut record", vec![record([22, 254, 253], 0, 9, &[0; 20])[..20].to_vec()]),
        ("a fatal alert", vec![record([21, 254, 253], 0, 9, &[2, 40])]),
        ("a warning", vec![record([21, 254, 253], 0, 9, &[1, 90])]),
        ("a goodbye", vec![record([21, 254, 253], 0, 9, &[1, 0])]),
        ("half an alert", vec![record([21, 254, 253], 0, 9, &[2])]),
        ("data in plaintext", vec![record([23, 254, 253], 0, 9, b"data")]),
        ("a wrong change of ciphers", vec![record([20, 254, 253], 0, 9, &[2])]),
        ("harmless: an early change of ciphers", vec![record([20, 254, 253], 0, 9, &[1])]),
        (
            "harmless: sealed rubbish",
            [20, 21, 22, 23].map(|kind| record([kind, 254, 253], 1, 9, &[7; 40])).to_vec(),
        ),
        ("half a message header", vec![handshake(&[1, 0, 0])]),
        ("a fragment beyond its message", vec![handshake(&[1, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0, 2, 1, 1])]),
        ("a fragment longer than its record", vec![handshake(&[1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 9, 1])]),
        ("messages of an unknown type", every(99, &[1, 2, 3])),
        ("requests for a hello", every(0, &[])),
        ("client hellos of rubbish", every(1, &[9; 60])),
        ("harmless: client hellos without profiles", every(1, &hello)),
        ("harmless: certificates of a stranger", every(11, &chain)),
        ("certificates of rubbish", every(11, &[0, 0, 9, 0, 0, 6, 1])),
        ("harmless: keys of a stranger", every(16, &[vec![32], vec![9; 32]].concat())),
        ("harmless: signatures of a stranger", every(15, &[vec![4, 3, 0, 70], vec![48; 70]].concat())),
        ("harmless: ends of a server's flight", every(14, &[])),
        ("proofs in plaintext", every(20, &[5; 12])),
        (
            "harmless: the last record number",
            vec![record(
                [22, 254, 253],
                0,
                (1 << 48) - 1,
                &message(16, 7, &[vec![32], vec![9; 32]].concat()),
            )],
        ),
        ("fragments that contradict each other", contradictions()),
    ]
}

/// First halves of messages with other lengths and contents than the true ones.
fn contradictions() -> Vec<Vec<u8>> {
    let fragment = |number: u8, kind: u8, length: u8| {
        handshake(&[&[kind, 0, 0, length, 0, number, 0, 0, 0, 0, 0, 5][..], &[9; 5]].concat())
    };
    let wrong = handshake(&[1, 0, 0, 1, 0, 0, 0, 0, 5, 0, 0, 1, 1]);
    let halves = (0..8).flat_map(|number| [1, 2, 11, 12, 16].map(|kind| fragment(number, kind, 77)));
    halves.chain([wrong]).collect()
}

fn record([content, major, minor]: [u8; 3], epoch: u16, number: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content, major, minor];
    record.extend_from_slice(&epoch.to_be_bytes());
    record.extend_from_slice(&number.to_be_bytes()[2..]);
    record.extend_from_slice(&(body.len() as u16).to_be_bytes());
    record.extend_from_slice(body);
    record
}

fn handshake(body: &[u8]) -> Vec<u8> {
    record([22, 254, 253], 0, 9, body)
}

fn message(kind: u8, number: u8, body: &[u8]) -> Vec<u8> {
    let length = length(body.len());
    [&[kind], &length[..], &[0, number, 0, 0, 0], &length, body].concat()
}

fn length(length: usize) -> [u8; 3] {
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    [high, middle, low]
}
