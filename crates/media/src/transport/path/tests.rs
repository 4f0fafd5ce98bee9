use super::*;
use crate::due::DueKind;
use crate::ice::Protocol;
use crate::keys::ConsumerKey;

const HOME: u16 = 1_000;

fn tuple(port: u16) -> Tuple {
    let local = ([192, 0, 2, 1], 443).into();
    Tuple { protocol: Protocol::Udp, remote: ([198, 51, 100, 1], port).into(), local }
}

/// A path whose client was at home and has moved.
fn moved(now: Instant) -> Path {
    let mut path = Path::new();
    path.trust(tuple(HOME));
    assert!(path.is_proven());
    assert!(path.enter(tuple(1), 0x0123_4567_89AB_CDEF, 0, now));
    path
}

fn due() -> Due {
    Due::new(ConsumerKey::default(), 1, 0, DueKind::Media)
}

#[test]
fn an_unproven_address_gets_16_kb_and_2_s_of_sound_a_minute_however_often_it_changes() {
    let start = Instant::now();
    let mut path = moved(start);
    let (mut bytes, mut sound) = (0, 0);
    for second in 0..59 {
        let now = start + Duration::from_secs(second);
        path.refresh(now);
        path.enter(tuple(2 + second as u16), 7, 0, now);
        while path.has_room() {
            path.spend(1_200);
            bytes += 1_200;
        }
        while path.admits_report(400) {
            bytes += 400;
        }
        sound += (0..1_000).filter(|ms| path.takes(false, now + Duration::from_millis(*ms))).count();
    }
    assert!(bytes <= 16 * 1_024, "{bytes} bytes");
    assert_eq!(sound, 2_000, "in ms");
    path.refresh(start + MINUTE);
    assert!(path.has_room() && path.takes(false, start + MINUTE));
}

#[test]
fn where_the_client_was_before_needs_no_proof() {
    let now = Instant::now();
    let mut path = moved(now);
    assert!(!path.enter(tuple(HOME), 1, 0, now));
    path.forget(tuple(HOME));
    assert!(path.enter(tuple(2), 1, 0, now));
    assert!(path.enter(tuple(HOME), 1, 0, now));
}

#[test]
fn a_proof_frees_what_waited_and_gives_back_what_was_spent() {
    let now = Instant::now();
    let mut path = moved(now);
    path.spend(MAX_BYTES);
    assert!(!path.has_room() && path.hold(due()));
    let numbers: Vec<u16> = (0..13)
        .scan(0, |next: &mut u16, _| {
            let number = path.number(*next);
            *next = number + 1;
            Some(number)
        })
        .collect();
    assert!(path.arrived(numbers[..5].iter().copied(), now).is_none());
    let release = path.arrived(numbers.into_iter(), now).unwrap();
    assert_eq!((release.held.len(), release.overflowed), (1, false));
    assert!(path.is_proven());
    assert!(path.enter(tuple(2), 1, 0, now) && path.has_room());
}

#[test]
fn when_too_many_packets_wait_consumers_start_over() {
    let now = Instant::now();
    let mut path = moved(now);
    assert!((0..MAX_HELD).all(|_| path.takes(true, now) && path.hold(due())));
    assert!(!path.takes(true, now) && !path.hold(due()));
    let told = path.disguise(NtpTime(9 << 32), 1);
    let release = path.echoed(told.middle(), now).unwrap();
    assert!(release.overflowed && release.held.is_empty());
}

#[test]
fn a_report_that_was_guessed_wrong_is_answered_no_more() {
    let now = Instant::now();
    let mut path = moved(now);
    let true_time = NtpTime(9 << 32);
    let told = path.disguise(true_time, 1_234).middle();
    assert_eq!(true_time.middle().wrapping_sub(told), 1_234);
    assert_eq!(path.moved_back(told), 1_234);
    // An older report is echoed by whoever has not received the last one.
    assert!(path.echoed(told - 70_000, now).is_none());
    assert!(path.echoed(true_time.middle() - 1, now).is_none());
    assert!(path.echoed(told, now).is_none());
    let told = path.disguise(NtpTime(10 << 32), 77).middle();
    assert!(path.echoed(told, now).is_some());
}
