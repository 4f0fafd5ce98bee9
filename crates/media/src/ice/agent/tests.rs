//! The agent against a client's checks, which are built with rtc-stun.

use super::super::{Protocol, local_username_fragment};
use super::*;
use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::*;
use rtc_stun::error_code::ErrorCodeAttribute;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::*;
use rtc_stun::textattrs::TextAttribute;
use rtc_stun::xoraddr::XorMappedAddress;
use std::net::SocketAddr;

#[test]
fn the_first_valid_check_is_answered_and_selects_its_tuple() {
    let mut story = Story::new();
    assert_eq!(story.ice.state(), IceState::New);
    let handled = story.check(1, &[]).unwrap();
    assert_eq!(handled.outcome, Outcome::ValidCheck);
    assert_eq!(handled.changes, Changes { state: true, selected: true, forgotten: vec![] });
    assert_eq!(story.ice.state(), IceState::Connected);
    assert_eq!(story.ice.selected(), Some(&tuple(1)));

    let mut reply = parse(&handled.reply.unwrap());
    assert_eq!(reply.typ, BINDING_SUCCESS);
    assert_eq!(reply.transaction_id, TransactionId([7; 12]));
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&reply).unwrap();
    assert_eq!(SocketAddr::from((mapped.ip, mapped.port)), tuple(1).remote);
    MessageIntegrity::check(&mut reply, b"password-1", AwsLcRsProvider::new().crypto()).unwrap();
    FINGERPRINT.check(&reply).unwrap();
}

#[test]
fn use_candidate_moves_the_selection_and_the_last_one_wins() {
    let mut story = Story::new();
    story.check(1, &[]).unwrap();
    story.check(2, &[]).unwrap();
    assert_eq!(story.ice.selected(), Some(&tuple(1)), "a valid tuple alone moves nothing");
    let changes = story.check(2, &[use_candidate()]).unwrap().changes;
    assert!(changes.state && changes.selected);
    assert_eq!((story.ice.state(), story.ice.selected()), (IceState::Completed, Some(&tuple(2))));
    story.check(1, &[use_candidate()]).unwrap();
    assert_eq!(story.ice.selected(), Some(&tuple(1)));
}

#[test]
fn a_higher_nomination_wins_and_a_lower_or_unnumbered_one_never_moves() {
    let mut story = Story::new();
    story.check(1, &[nomination(5)]).unwrap();
    story.check(2, &[nomination(4), use_candidate()]).unwrap();
    story.check(2, &[nomination(5)]).unwrap();
    story.check(2, &[use_candidate()]).unwrap();
    assert_eq!(story.ice.selected(), Some(&tuple(1)));
    story.check(2, &[nomination(6)]).unwrap();
    assert_eq!(story.ice.selected(), Some(&tuple(2)));
}

#[test]
fn a_wrong_password_an_unknown_username_and_a_broken_fingerprint_are_dropped() {
    let mut story = Story::new();
    let refused = |ice: &mut IceLite, now, request: &[u8]| {
        let error = ice.handle_datagram(now, tuple(1), request).unwrap_err();
        assert_eq!(ice.state(), IceState::New);
        error
    };
    let wrong = request(&credentials(2).password, "fragment-1:c", &[priority()]);
    assert_eq!(refused(&mut story.ice, story.now, &wrong), IceError::BadIntegrity);
    let unknown = request("password-1", "fragment-9:c", &[priority()]);
    assert_eq!(refused(&mut story.ice, story.now, &unknown), IceError::UnknownUsername);
    let mut broken = request("password-1", "fragment-1:c", &[priority()]);
    *broken.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&mut story.ice, story.now, &broken), IceError::BadFingerprint);
    assert_eq!(refused(&mut story.ice, story.now, &broken[..21]), IceError::Malformed);
}

#[test]
fn a_controlled_client_is_told_of_the_role_conflict() {
    let mut story = Story::new();
    let handled = story.check(1, &[attribute(ATTR_ICE_CONTROLLED, &[0; 8])]).unwrap();
    assert_eq!(handled.outcome, Outcome::Rejected(Rejection::RoleConflict));
    assert_eq!(error_code(&handled), 487);
    assert_eq!(story.ice.state(), IceState::New);
}

#[test]
fn unknown_required_attributes_are_named_in_the_reply_and_optional_ones_ignored() {
    let mut story = Story::new();
    let handled =
        story.check(1, &[attribute(AttrType(0x7001), &[1]), attribute(AttrType(0xC057), &[1])]).unwrap();
    assert_eq!(handled.outcome, Outcome::Rejected(Rejection::UnknownAttributes(vec![0x7001])));
    assert_eq!(error_code(&handled), 420);
    let reply = parse(&handled.reply.unwrap());
    assert_eq!(reply.get(ATTR_UNKNOWN_ATTRIBUTES).unwrap(), [0x70, 0x01]);
}

#[test]
fn missing_attributes_are_a_bad_request() {
    let mut story = Story::new();
    let without_priority = request("password-1", "fragment-1:c", &[]);
    let mut bare = Message::new();
    bare.build(&[Box::new(TransactionId([7; 12])), Box::new(BINDING_REQUEST)]).unwrap();
    for datagram in [&without_priority, &bare.raw] {
        let handled = story.ice.handle_datagram(story.now, tuple(1), datagram).unwrap();
        assert_eq!(handled.outcome, Outcome::Rejected(Rejection::BadRequest));
        assert_eq!(error_code(&handled), 400);
    }
    assert_eq!(story.ice.state(), IceState::New);
}

#[test]
fn attributes_behind_the_integrity_are_not_believed() {
    let mut story = Story::new();
    story.check(1, &[use_candidate()]).unwrap();
    let mut message = parse(&request("password-1", "fragment-1:c", &[priority()]));
    message.attributes.0.retain(|attribute| attribute.typ != ATTR_FINGERPRINT);
    message.attributes.0.push(use_candidate());
    message.encode();
    let handled = story.ice.handle_datagram(story.now, tuple(2), &message.raw).unwrap();
    assert_eq!(handled.outcome, Outcome::ValidCheck);
    assert_eq!(story.ice.selected(), Some(&tuple(1)));
}

#[test]
fn indications_are_accepted_silently_and_responses_and_other_methods_refused() {
    let mut story = Story::new();
    let mut send = |class, method| {
        let mut message = Message::new();
        message.build(&[Box::new(MessageType::new(method, class))]).unwrap();
        story.ice.handle_datagram(story.now, tuple(1), &message.raw)
    };
    let handled = send(CLASS_INDICATION, METHOD_BINDING).unwrap();
    assert_eq!((handled.outcome, handled.reply), (Outcome::Indication, None));
    assert_eq!(send(CLASS_SUCCESS_RESPONSE, METHOD_BINDING), Err(IceError::UnexpectedResponse));
    assert_eq!(send(CLASS_REQUEST, METHOD_ALLOCATE), Err(IceError::UnsupportedMethod));
    assert_eq!(story.ice.state(), IceState::New);
}

#[test]
fn a_restart_accepts_both_passwords_until_the_first_check_with_the_new_one() {
    let mut story = Story::new();
    story.check(1, &[nomination(9)]).unwrap();
    story.ice.restart(credentials(2));
    story.ice.restart(credentials(3));
    assert_eq!(&story.ice.current, &credentials(3));
    assert_eq!(fragments(&story.ice), ["fragment-3", "fragment-1"]);
    story.check(1, &[]).unwrap();

    story.speak_as(3);
    story.check(2, &[]).unwrap();
    assert_eq!(
        story.ice.selected(),
        Some(&tuple(1)),
        "media goes on where it was until the client nominates"
    );
    story.check(2, &[nomination(1)]).unwrap();
    assert_eq!(story.ice.selected(), Some(&tuple(2)), "nominations count anew after a restart");
    assert_eq!(fragments(&story.ice), ["fragment-3"]);
    story.speak_as(1);
    assert_eq!(story.check(1, &[]), Err(IceError::UnknownUsername));
}

#[test]
fn a_ninth_tuple_evicts_the_one_unused_for_longest_but_never_the_selected_one() {
    let mut story = Story::new();
    for peer in 1..=8 {
        assert_eq!(story.check(peer, &[]).unwrap().changes.forgotten, []);
        story.pass(Duration::from_secs(1));
    }
    story.check(2, &[]).unwrap();
    assert_eq!(story.check(9, &[]).unwrap().changes.forgotten, [tuple(3)]);
    assert!(!story.ice.is_valid_tuple(tuple(3)));
    assert!(story.ice.is_valid_tuple(tuple(1)) && story.ice.is_valid_tuple(tuple(9)));
    assert_eq!(story.ice.selected(), Some(&tuple(1)));
}

#[test]
fn consent_is_lost_after_thirty_silent_seconds_and_returns_with_a_check() {
    let mut story = Story::new();
    assert_eq!(story.ice.poll_timeout(), None);
    story.check(1, &[use_candidate()]).unwrap();
    assert_eq!(story.ice.poll_timeout(), Some(story.now + Duration::from_secs(30)));
    assert_eq!(story.pass(Duration::from_millis(29_999)), Changes::default());
    let lost = story.pass(Duration::from_millis(1));
    assert_eq!(lost, Changes { state: true, selected: true, forgotten: vec![tuple(1)] });
    assert_eq!((story.ice.state(), story.ice.selected()), (IceState::Disconnected, None));
    assert_eq!(story.ice.poll_timeout(), None);
    assert!(story.check(1, &[]).unwrap().changes.state);
    assert_eq!((story.ice.state(), story.ice.selected()), (IceState::Connected, Some(&tuple(1))));
}

#[test]
fn a_silent_selected_tuple_gives_way_to_one_that_is_still_checked() {
    let mut story = Story::new();
    story.check(1, &[use_candidate()]).unwrap();
    story.pass(Duration::from_secs(20));
    story.check(2, &[]).unwrap();
    let changes = story.pass(Duration::from_secs(10));
    assert_eq!(changes, Changes { state: true, selected: true, forgotten: vec![tuple(1)] });
    assert_eq!((story.ice.state(), story.ice.selected()), (IceState::Connected, Some(&tuple(2))));
}

#[test]
fn ipv6_works_and_mapped_ipv4_is_the_same_tuple_as_plain_ipv4() {
    let mut story = Story::new();
    let address = |text: &str| text.parse::<SocketAddr>().unwrap();
    let v6 = Tuple { protocol: Protocol::Tcp, local: address("[::1]:5"), remote: address("[2001:db8::9]:6") };
    let datagram = request("password-1", "fragment-1:c", &[priority()]);
    let handled = story.ice.handle_datagram(story.now, v6, &datagram).unwrap();
    let mut mapped = XorMappedAddress::default();
    mapped.get_from(&parse(&handled.reply.unwrap())).unwrap();
    assert_eq!(SocketAddr::from((mapped.ip, mapped.port)), v6.remote);
    assert_eq!(story.ice.selected(), Some(&v6));

    let plain =
        Tuple { protocol: Protocol::Udp, local: address("192.0.2.1:5"), remote: address("192.0.2.2:6") };
    let mapped =
        Tuple { local: address("[::ffff:192.0.2.1]:5"), remote: address("[::ffff:192.0.2.2]:6"), ..plain };
    story.ice.handle_datagram(story.now, mapped, &datagram).unwrap();
    assert!(story.ice.is_valid_tuple(plain) && story.ice.is_valid_tuple(mapped));
}

#[test]
fn a_check_is_demultiplexed_by_the_fragment_it_is_for() {
    let datagram = request("password-1", "fragment-1:client", &[priority()]);
    assert_eq!(local_username_fragment(&datagram), Some("fragment-1"));
}

/// A client that checks one agent, and their common clock.
fn fragments(ice: &IceLite) -> Vec<&str> {
    ice.credentials().map(|credentials| credentials.username_fragment.as_str()).collect()
}

struct Story {
    ice: IceLite,
    speaks_as: Credentials,
    now: Instant,
}

impl Story {
    fn new() -> Self {
        Self { ice: IceLite::new(credentials(1)), speaks_as: credentials(1), now: Instant::now() }
    }

    fn speak_as(&mut self, generation: u8) {
        self.speaks_as = credentials(generation);
    }

    fn check(&mut self, peer: u16, attributes: &[RawAttribute]) -> Result<Handled, IceError> {
        let username = format!("{}:client", self.speaks_as.username_fragment);
        let attributes: Vec<_> = [&[priority()], attributes].concat();
        let datagram = request(&self.speaks_as.password, &username, &attributes);
        self.ice.handle_datagram(self.now, tuple(peer), &datagram)
    }

    fn pass(&mut self, time: Duration) -> Changes {
        self.now += time;
        self.ice.handle_timeout(self.now)
    }
}

fn credentials(generation: u8) -> Credentials {
    Credentials {
        username_fragment: format!("fragment-{generation}"),
        password: format!("password-{generation}"),
    }
}

fn tuple(peer: u16) -> Tuple {
    Tuple {
        protocol: Protocol::Udp,
        local: ([192, 0, 2, 1], 40_000).into(),
        remote: ([198, 51, 100, 7], 1000 + peer).into(),
    }
}

fn request(password: &str, username: &str, attributes: &[RawAttribute]) -> Vec<u8> {
    let provider = AwsLcRsProvider::new();
    let integrity =
        MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), provider.crypto());
    let mut setters: Vec<Box<dyn Setter + '_>> = vec![
        Box::new(TransactionId([7; 12])),
        Box::new(BINDING_REQUEST),
        Box::new(TextAttribute::new(ATTR_USERNAME, username.to_owned())),
    ];
    for attribute in attributes {
        setters.push(Box::new(attribute.clone()));
    }
    setters.push(Box::new(integrity));
    setters.push(Box::new(FINGERPRINT));
    let mut message = Message::new();
    message.build(&setters).unwrap();
    message.raw.clone()
}

fn attribute(typ: AttrType, value: &[u8]) -> RawAttribute {
    RawAttribute { typ, length: 0, value: value.to_vec() }
}

fn priority() -> RawAttribute {
    attribute(ATTR_PRIORITY, &[0x6e, 0, 0x1e, 0xff])
}

fn use_candidate() -> RawAttribute {
    attribute(ATTR_USE_CANDIDATE, &[])
}

fn nomination(value: u32) -> RawAttribute {
    attribute(AttrType(0xC001), &value.to_be_bytes())
}

fn parse(datagram: &[u8]) -> Message {
    let mut message = Message::new();
    message.unmarshal_binary(datagram).unwrap();
    message
}

fn error_code(handled: &Handled) -> u16 {
    let mut code = ErrorCodeAttribute::default();
    code.get_from(&parse(handled.reply.as_ref().unwrap())).unwrap();
    code.code.0
}
