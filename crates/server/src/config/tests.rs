use clap::Parser;
use secrecy::ExposeSecret;

use super::*;
use crate::cli::Cli;
use switchyard_call_control::call::{Consent, RecordingLayer};
use switchyard_call_control::calls::{RecordingAccess, RecordingBy};

/// Of 32 bytes.
const SECRET: &str = "a secret that only the app knows";

fn config(flags: &[&str]) -> Result<Config, ConfigError> {
    let arguments = ["switchyard"].into_iter().chain(flags.iter().copied());
    Config::new(Cli::try_parse_from(arguments).unwrap().settings)
}

#[test]
fn without_any_setting_the_server_serves_this_machine_and_people_sign_in_by_name() {
    let config = config(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert!(matches!(config.control.auth.sign_in, SignIn::Dev { .. }));
    assert_eq!(config.control.database_url.expose_secret(), "sqlite://./data/switchyard.db");
    assert_eq!((config.media.port, config.media.bind.len()), (40_000, 2));
    assert_eq!(config.control.rules.ring, Some(Duration::from_secs(60)));
}

#[test]
fn a_host_open_to_others_needs_a_secret() {
    assert!(matches!(config(&["--host", "0.0.0.0"]), Err(ConfigError::OpenToAll(_))));
    let secret = ["--host", "0.0.0.0", "--jwt-secret", SECRET];
    assert!(matches!(config(&secret).unwrap().control.auth.sign_in, SignIn::Secret(_)));
}

#[test]
fn published_keys_are_used_with_issuer_and_audience_and_without_a_secret() {
    let jwks = ["--host", "0.0.0.0", "--jwks-url", "https://id.example/keys"];
    let whole = [&jwks[..], &["--jwt-issuer", "https://id.example", "--jwt-audience", "calls"]].concat();
    assert!(matches!(config(&whole).unwrap().control.auth.sign_in, SignIn::Jwks { .. }));
    for part in [&whole[..4], &whole[..6], &[&whole[..4], &whole[6..]].concat()] {
        let refused = config(part);
        assert!(matches!(refused, Err(ConfigError::Auth(AuthSetupError::AnyIssuerOrAudience))), "{part:?}");
    }
    let both = [&whole[..], &["--jwt-secret", SECRET]].concat();
    assert!(matches!(config(&both), Err(ConfigError::TwoSignIns)));
    let open = ["--jwks-url", "http://id.example/keys"];
    assert!(matches!(config(&open), Err(ConfigError::JwksUrl(_))));
}

#[test]
fn the_app_manages_groups_unless_people_sign_in_by_name_or_it_is_said_otherwise() {
    let manager = |flags: &[&str]| config(flags).unwrap().control.groups_managed_by;
    let secret = ["--jwt-secret", SECRET];
    assert_eq!(manager(&[]), GroupsManagedBy::Users);
    assert_eq!(manager(&secret), GroupsManagedBy::Service);
    assert_eq!(manager(&[&secret[..], &["--groups-managed-by", "users"]].concat()), GroupsManagedBy::Users);
    assert_eq!(manager(&["--groups-managed-by", "service"]), GroupsManagedBy::Service);
    assert!(Cli::try_parse_from(["switchyard", "--groups-managed-by", "nobody"]).is_err());
}

#[test]
fn the_service_token_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    std::fs::write(&path, "a token that only the app knows\n").unwrap();
    let config = config(&["--service-token-file", path.to_str().unwrap()]).unwrap();
    let token = config.control.auth.service_token.unwrap();
    assert_eq!(token.expose_secret(), "a token that only the app knows");
    assert_eq!(config.control.token_grace, Duration::from_secs(300));
}

#[test]
fn an_origin_is_scheme_and_host_and_never_a_wildcard() {
    for good in ["https://app.example", "http://localhost:5173/", "https://a.example,https://b.example"] {
        assert!(config(&["--frontend-url", good]).is_ok(), "{good}");
    }
    let spelt = config(&["--frontend-url", "HTTPS://App.Example:443/"]).unwrap().control.origins;
    assert_eq!(spelt, ["https://app.example".parse().unwrap()]);
    for bad in ["*", "https://*.example", "app.example", "https://app.example/page", "https://app.example//"]
    {
        assert!(matches!(config(&["--frontend-url", bad]), Err(ConfigError::Origin(_))), "{bad}");
    }
}

#[test]
fn proxies_are_addresses_and_networks() {
    let proxies = |list: &str| Cli::try_parse_from(["switchyard", "--trusted-proxies", list]);
    assert_eq!(proxies("127.0.0.1,10.0.0.0/8").unwrap().settings.http.trusted_proxies.len(), 2);
    assert!(proxies("proxy.example").is_err());
    assert_eq!(config(&[]).unwrap().control.trusted_proxies, []);
}

#[test]
fn a_turn_secret_needs_a_turn_server() {
    let secret = ["--turn-secret", SECRET, "--turn-urls", "stun:turn.example:3478"];
    assert!(matches!(config(&secret), Err(ConfigError::TurnSecretWithoutServer)));
    assert!(matches!(config(&["--turn-urls", "https://x"]), Err(ConfigError::TurnUrl(_))));
    assert!(config(&["--turn-secret", SECRET, "--turn-urls", "turn:turn.example:3478"]).is_ok());
}

#[test]
fn zero_switches_a_timer_off() {
    let config = config(&["--ring-seconds", "0", "--unattached-seconds", "0"]).unwrap();
    assert_eq!((config.control.rules.ring, config.control.rules.unattached), (None, None));
}

#[test]
fn limits_are_those_of_call_control_unless_set() {
    let control = config(&[]).unwrap().control;
    assert_eq!(control.limits, Limits::default());
    assert_eq!(control.rules, Rules::default());
    let set = ["--max-participants", "12", "--max-sockets-per-user", "1", "--rate-limit-per-user", "0"];
    let control = config(&set).unwrap().control;
    assert_eq!((control.rules.max_participants, control.rules.joins), (12, None));
    assert_eq!((control.limits.sockets_per_user, control.limits.requests_per_user), (1, 0));
    for bad in ["0", "-1", "many"] {
        assert!(Cli::try_parse_from(["switchyard", "--max-participants", bad]).is_err(), "{bad}");
    }
}

/// The error that this setting causes, as people read it.
fn refused(flags: &[&str]) -> String {
    match Cli::try_parse_from(["switchyard"].into_iter().chain(flags.iter().copied())) {
        Ok(cli) => Config::new(cli.settings).err().expect("the settings are refused").to_string(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn whatever_cannot_work_is_refused_before_the_start() {
    for (flags, named) in [
        (&["--database-url", "nonsense"][..], "DATABASE_URL"),
        (&["--database-url", "postgres:nonsense"], "DATABASE_URL"),
        (&["--database-url", "mysql://localhost/x"], "DATABASE_URL"),
        (&["--database-url", "postgres://db.example:x/calls"], "DATABASE_URL"),
        (&["--database-url", "sqlite::memory:"], "DATABASE_URL"),
        (&["--database-url", "sqlite://"], "DATABASE_URL"),
        (&["--database-url", "sqlite://calls.db?mode=ro"], "DATABASE_URL"),
        (&["--database-schema", ""], "DATABASE_SCHEMA"),
        (&["--database-schema", "information_schema"], "DATABASE_SCHEMA"),
        (&["--database-schema", "Switch Yard"], "DATABASE_SCHEMA"),
        (&["--database-schema", "pg_calls"], "DATABASE_SCHEMA"),
        (&["--media-port", "65535", "--media-workers", "2"], "MEDIA_PORT"),
        (&["--announced-addresses", "0.0.0.0"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "192.0.2.1,::"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "255.255.255.255"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "224.0.0.1"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "::ffff:0.0.0.0"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "::ffff:192.0.2.1"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "fe80::1"], "ANNOUNCED_ADDRESSES"),
        (&["--announced-addresses", "192.0.2.1,2001:db8::1", "--media-host", "127.0.0.1"], "2001:db8::1"),
        (&["--announced-addresses", "192.0.2.1", "--media-host", "::"], "MEDIA_HOST"),
        (&["--media-host", "127.0.0.1,224.0.0.1"], "MEDIA_HOST"),
        (&["--media-host", "::ffff:0.0.0.0"], "MEDIA_HOST"),
        (&["--host", "255.255.255.255"], "HOST"),
        (&["--host", "::ffff:0.0.0.0"], "HOST"),
        (&["--admin-host", "ff02::1", "--admin-port", "9"], "ADMIN_HOST"),
        (&["--trusted-proxies", "255.255.255.255"], "--trusted-proxies"),
        (&["--trusted-proxies", "10.0.0.1,224.0.0.1"], "--trusted-proxies"),
        (&["--trusted-proxies", "::ffff:0.0.0.0"], "--trusted-proxies"),
        (&["--trusted-proxies", "10.0.0.1/0"], "--trusted-proxies"),
        (&["--trusted-proxies", "0.0.0.0"], "--trusted-proxies"),
        (&["--trusted-proxies", "::/0"], "--trusted-proxies"),
        (&["--port", "3000", "--admin-port", "3000"], "ADMIN_PORT"),
        (&["--jwt-secret", SECRET, "--jwt-issuer", ""], "JWT_ISSUER"),
        (&["--jwt-secret", SECRET, "--jwt-audience", " "], "JWT_AUDIENCE"),
        (&["--jwt-secret", SECRET, "--admin-claim", ""], "ADMIN_CLAIM"),
        (&["--jwt-secret", "too short"], "JWT_SECRET"),
        (&["--jwt-secret", "                                "], "JWT_SECRET"),
        (&["--service-token", "too short"], "SERVICE_TOKEN"),
        (&["--turn-secret", "too short", "--turn-urls", "turn:turn.example"], "TURN_SECRET"),
        (&["--turn-urls", "turn:turn.example:port"], "TURN_URLS"),
        (&["--turn-urls", "turn:turn.example:0"], "TURN_URLS"),
        (&["--turn-urls", "stun:turn.example,turn:0.0.0.0"], "turn:0.0.0.0"),
        (&["--turn-urls", "turn://turn.example"], "TURN_URLS"),
        (&["--dev-sign-in", "off"], "DEV_SIGN_IN"),
        (&["--host", "no-such-host.invalid"], "HOST"),
        (&["--host", "localhost:3000"], "--host"),
    ] {
        let error = refused(flags);
        assert!(error.contains(named), "{flags:?}: {error}");
    }
}

#[test]
fn two_listeners_clash_if_one_takes_the_connections_of_the_other() {
    let outcome = |host: &str, admin: &str, port: &str| {
        config(&[
            "--jwt-secret",
            SECRET,
            "--host",
            host,
            "--admin-host",
            admin,
            "--port",
            port,
            "--admin-port",
            port,
        ])
    };
    for (host, admin, clash) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "localhost", true),
        ("127.0.0.1", "127.0.0.2", false),
        ("127.0.0.1", "::1", false),
        ("0.0.0.0", "127.0.0.1", true),
        ("0.0.0.0", "::1", false),
        ("0.0.0.0", "::", true),
        ("::", "::1", true),
        ("::", "127.0.0.1", true),
    ] {
        for (one, other) in [(host, admin), (admin, host)] {
            let refused = matches!(outcome(one, other, "3000"), Err(ConfigError::AdminPort(3000)));
            assert_eq!(refused, clash, "{one} {other}");
            assert!(outcome(one, other, "0").is_ok(), "{one} {other}");
        }
    }
}

#[test]
fn the_default_database_is_in_the_data_directory_whatever_its_name() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["100%", "why?", "%3F", "a b"] {
        let data_dir = directory.path().join(name);
        let database = data_dir.join("switchyard.db");
        std::fs::create_dir_all(&database).unwrap();
        let error = refused(&["--data-dir", data_dir.to_str().unwrap()]);
        assert!(error.contains(&format!("{} is a directory", database.display())), "{error}");
    }
}

#[test]
fn ports_that_do_not_meet_are_no_contradiction() {
    for fine in [
        &["--media-port", "65535", "--media-workers", "1"][..],
        &["--media-port", "0", "--media-workers", "256"],
        &["--port", "0", "--admin-port", "0"],
        &["--port", "3000", "--admin-port", "3000", "--admin-host", "127.0.0.2"],
    ] {
        assert!(config(fine).is_ok(), "{fine:?}");
    }
}

#[test]
fn localhost_is_an_address_to_listen_on() {
    let config = config(&["--host", "localhost", "--media-host", "localhost"]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(config.media.bind, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
    assert!(matches!(config.control.auth.sign_in, SignIn::Dev { .. }));
}

#[test]
fn a_path_that_cannot_hold_the_data_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("letter");
    std::fs::write(&file, "a letter to a friend").unwrap();
    let (file, folder) = (file.to_str().unwrap(), directory.path().to_str().unwrap());
    let below = format!("{file}/data");
    let url = |path: &str| format!("sqlite://{path}");
    for (flag, value, path) in [
        ("--data-dir", file.to_owned(), file),
        ("--data-dir", below.clone(), below.as_str()),
        ("--database-url", url(folder), folder),
        ("--database-url", url(file), file),
        ("--database-url", url(&format!("{folder}/missing/calls.db")), &format!("{folder}/missing")),
    ] {
        let error = refused(&[flag, &value]);
        assert!(error.contains(path), "{flag} {value}: {error}");
    }
    let fresh = format!("{folder}/to/be/made");
    assert!(config(&["--data-dir", &fresh]).is_ok());
    assert!(!Path::new(&fresh).exists(), "a check changes nothing");
}

#[test]
fn what_is_allowed_but_risky_is_warned_of() {
    let warned = |flags: &[&str]| config(flags).unwrap().warnings.join("\n");
    for fine in [&[][..], &["--ring-seconds", "0"], &["--unattached-seconds", "0"]] {
        assert_eq!(warned(fine), "", "{fine:?}");
    }
    assert_eq!(warned(&["--jwt-secret", SECRET, "--service-token", SECRET]), "");
    let open = ["--jwt-secret", SECRET, "--service-token", SECRET, "--host", "0.0.0.0"];
    assert!(warned(&open).contains("TRUSTED_PROXIES"));
    assert_eq!(warned(&[&open[..], &["--trusted-proxies", "10.0.0.1"]].concat()), "");
    for (flags, named) in [
        (&["--jwt-secret", "twenty letters, or so", "--service-token", SECRET][..], "JWT_SECRET"),
        (&["--service-token", "twenty letters, or so"], "SERVICE_TOKEN"),
        (&["--turn-urls", "turn:turn.example"], "TURN_SECRET"),
        (&["--jwt-secret", SECRET], "SERVICE_TOKEN"),
        (&["--trusted-proxies", "10.0.0.1"], "JWT_SECRET"),
        (&["--admin-port", "9000", "--admin-host", "0.0.0.0"], "ADMIN_HOST"),
        (&["--port", "40000"], "media ports"),
        (&["--ring-seconds", "0", "--unattached-seconds", "0"], "MAX_CALL_HOURS"),
    ] {
        let warned = warned(flags);
        assert!(warned.contains(named), "{flags:?}: {warned}");
    }
}

#[test]
fn recordings_are_kept_in_the_data_directory_unless_it_is_said_otherwise() {
    let plain = config(&[]).unwrap().control;
    assert_eq!(plain.recording.recorder.folder.to_str(), Some("./data/recordings"));
    assert!(plain.recording.on && plain.recording.kept_for.is_none());
    assert_eq!(plain.recording.recorder.min_free, 1 << 30);
    assert_eq!(plain.rules.max_recording, Duration::from_secs(24 * 3600));
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("tapes");
    let flags = [
        ["--recording-dir", folder.to_str().unwrap()],
        ["--recording", "off"],
        ["--recording-by", "members"],
        ["--recording-consent", "ask"],
        ["--recording-access", "moderators"],
        ["--recording-layer", "medium"],
        ["--recording-days", "30"],
    ];
    let set = config(&flags.concat()).unwrap().control.recording;
    assert_eq!((set.recorder.folder, set.on), (folder, false));
    assert_eq!((set.by, set.consent), (RecordingBy::Members, Consent::Ask));
    assert_eq!((set.access, set.layer), (RecordingAccess::Moderators, RecordingLayer::Medium));
    assert_eq!(set.kept_for, Some(Duration::from_secs(30 * 24 * 3600)));
}

#[test]
fn a_recording_setting_out_of_its_range_is_refused() {
    for bad in [
        ["--recording", "maybe"],
        ["--recording-by", "everybody"],
        ["--recording-consent", "none"],
        ["--recording-access", "anybody"],
        ["--recording-layer", "4k"],
        ["--recording-days", "-1"],
        ["--recording-days", "36501"],
        ["--recording-link-seconds", "0"],
        ["--recording-link-seconds", "86401"],
        ["--recording-max-hours", "0"],
        ["--recording-max-tracks", "0"],
        ["--recording-key-frame-seconds", "0"],
        ["--recording-sync-seconds", "0"],
        ["--recording-min-free", "much"],
    ] {
        assert!(Cli::try_parse_from([&["switchyard"], &bad[..]].concat()).is_err(), "{bad:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = config(&["--recording-dir", file.to_str().unwrap()]);
    assert!(matches!(refused, Err(ConfigError::Directory { setting: "RECORDING_DIR", .. })));
}
