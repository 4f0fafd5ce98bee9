//! The checked configuration: the server can run with any configuration that [`Config::new`] accepts.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use axum::http::HeaderValue;
use secrecy::SecretString;
use switchyard_call_control::auth::{AuthConfig, AuthSetupError, InvalidJwksUrl, SignIn};
use switchyard_call_control::call::Rules;
use switchyard_call_control::ice::IceServers;
use switchyard_call_control::limits::Limits;
use switchyard_call_control::{ControlConfig, GroupsManagedBy};
use switchyard_media_worker::{MediaConfig, Sending};

use crate::settings::{
    AccessSettings, CallSettings, HttpSettings, LimitSettings, MediaSettings, RecordSettings, SecretError,
    Settings, read_secret,
};

pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// The address on which metrics are served, if any.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) media: MediaConfig,
    pub(crate) control: ControlConfig,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(
        "HOST {0} can be reached from other machines, so JWT_SECRET or JWKS_URL must be set: \
         sign-in by name is only for a loopback HOST"
    )]
    OpenToAll(IpAddr),
    #[error("JWT_SECRET and JWKS_URL are both set; which one says who is who?")]
    TwoSignIns,
    #[error("JWKS_URL cannot be used")]
    JwksUrl(#[from] InvalidJwksUrl),
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    #[error("FRONTEND_URL: `{0}` is no origin such as https://app.example.org")]
    Origin(String),
    #[error("TURN_URLS: `{0}` is no stun:, turn: or turns: address")]
    TurnUrl(String),
    #[error("TURN_SECRET is set, but TURN_URLS names no TURN server")]
    TurnSecretWithoutServer,
    #[error("no number of media workers was given, and that of cores cannot be told: {0}")]
    Workers(std::io::Error),
}

impl Config {
    pub(crate) fn new(settings: Settings) -> Result<Self, ConfigError> {
        let HttpSettings { host, port, frontend_url, trusted_proxies, admin_host, admin_port, log_format: _ } =
            settings.http;
        let admin = admin_port.map(|port| SocketAddr::new(admin_host, port));
        let (media, ice_servers) = media(settings.media)?;
        let database_url = database_url(&settings.records)?;
        let groups_managed_by = settings.access.groups_managed_by;
        let token_grace = Duration::from_secs(settings.access.token_grace_seconds.into());
        let auth = auth(settings.access, host, &settings.records.data_dir)?;
        let control = ControlConfig {
            groups_managed_by: groups_managed_by.unwrap_or(GroupsManagedBy::default_for(&auth.sign_in)),
            token_grace,
            auth,
            database_url,
            database_schema: settings.records.database_schema,
            rules: rules(&settings.calls, &settings.limits),
            limits: limits(&settings.limits),
            max_call_age: settings.calls.max_call_hours,
            ice_servers,
            origins: origins(&frontend_url)?,
            trusted_proxies,
        };
        Ok(Self { listen: SocketAddr::new(host, port), admin, media, control })
    }
}

/// The part of the configuration that `switchyard token` needs. The command runs beside a server, so it does
/// not check other settings.
pub(crate) fn auth(access: AccessSettings, host: IpAddr, data_dir: &Path) -> Result<AuthConfig, ConfigError> {
    let secret = read_secret("JWT_SECRET", access.jwt_secret, access.jwt_secret_file.as_deref())?;
    let sign_in = match (secret, access.jwks_url) {
        (Some(_), Some(_)) => return Err(ConfigError::TwoSignIns),
        (Some(secret), None) => SignIn::Secret(secret),
        (None, Some(url)) => SignIn::Jwks { url: url.parse()? },
        (None, None) if host.is_loopback() => SignIn::Dev { data_dir: data_dir.to_owned() },
        (None, None) => return Err(ConfigError::OpenToAll(host)),
    };
    let auth = AuthConfig {
        sign_in,
        issuer: access.jwt_issuer,
        audience: access.jwt_audience,
        admin_claim: access.admin_claim,
        service_token: read_secret(
            "SERVICE_TOKEN",
            access.service_token,
            access.service_token_file.as_deref(),
        )?,
    };
    auth.check()?;
    Ok(auth)
}

fn origins(urls: &[String]) -> Result<Vec<HeaderValue>, ConfigError> {
    let origin = |url: &String| {
        let url = url.trim().trim_end_matches('/');
        let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).unwrap_or_default();
        let is_origin = !host.is_empty() && !host.contains(['/', '*', '?', '#', '@', ' ']);
        let value = HeaderValue::from_str(url).ok().filter(|_| is_origin);
        value.ok_or_else(|| ConfigError::Origin(url.to_owned()))
    };
    urls.iter().filter(|url| !url.trim().is_empty()).map(origin).collect()
}

fn media(settings: MediaSettings) -> Result<(MediaConfig, IceServers), ConfigError> {
    let workers = match settings.media_workers {
        Some(workers) => workers.into(),
        None => std::thread::available_parallelism().map_err(ConfigError::Workers)?.get(),
    };
    let is_address =
        |url: &&String| ["stun:", "stuns:", "turn:", "turns:"].iter().any(|scheme| url.starts_with(scheme));
    if let Some(bad) = settings.turn_urls.iter().find(|url| !is_address(url)) {
        return Err(ConfigError::TurnUrl(bad.clone()));
    }
    let secret = read_secret("TURN_SECRET", settings.turn_secret, settings.turn_secret_file.as_deref())?;
    if secret.is_some() && !settings.turn_urls.iter().any(|url| url.starts_with("turn")) {
        return Err(ConfigError::TurnSecretWithoutServer);
    }
    let media = MediaConfig {
        bind: settings.media_host,
        port: settings.media_port,
        workers,
        max_load: f64::from(settings.max_load_percent) / 100.0,
        max_packet_rate: settings.max_packet_rate.get(),
        announced: settings.announced_addresses,
        sending: Sending {
            coalesce: Duration::from_micros(settings.media_coalesce_microseconds),
            padding: settings.media_padding,
        },
    };
    Ok((media, IceServers { urls: settings.turn_urls, secret }))
}

fn database_url(settings: &RecordSettings) -> Result<SecretString, ConfigError> {
    let given =
        read_secret("DATABASE_URL", settings.database_url.clone(), settings.database_url_file.as_deref())?;
    Ok(given
        .unwrap_or_else(|| format!("sqlite://{}", settings.data_dir.join("switchyard.db").display()).into()))
}

fn rules(settings: &CallSettings, limits: &LimitSettings) -> Rules {
    let unless_zero = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
    Rules {
        ring: unless_zero(settings.ring_seconds),
        unattached: unless_zero(settings.unattached_seconds),
        resume_window: Duration::from_secs(settings.resume_seconds.into()),
        max_participants: limits.max_participants.get(),
        max_metadata_bytes: limits.max_metadata_bytes.get(),
        joins: Rules::default().joins.filter(|_| limits.rate_limit_per_user > 0),
    }
}

const fn limits(settings: &LimitSettings) -> Limits {
    Limits {
        body_bytes: settings.max_body_bytes.get(),
        members_per_group: settings.max_group_members.get(),
        producers_per_leg: settings.max_producers_per_leg.get(),
        consumers_per_transport: settings.max_consumers_per_transport.get(),
        sockets_per_user: settings.max_sockets_per_user.get(),
        requests_per_user: settings.rate_limit_per_user,
        requests_per_address: settings.rate_limit_per_address,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::cli::Cli;

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
        let secret = ["--host", "0.0.0.0", "--jwt-secret", "a secret that only the app knows"];
        assert!(matches!(config(&secret).unwrap().control.auth.sign_in, SignIn::Secret(_)));
    }

    #[test]
    fn published_keys_are_used_with_issuer_and_audience_and_without_a_secret() {
        let jwks = ["--host", "0.0.0.0", "--jwks-url", "https://id.example/keys"];
        let whole = [&jwks[..], &["--jwt-issuer", "https://id.example", "--jwt-audience", "calls"]].concat();
        assert!(matches!(config(&whole).unwrap().control.auth.sign_in, SignIn::Jwks { .. }));
        for part in [&whole[..4], &whole[..6], &[&whole[..4], &whole[6..]].concat()] {
            let refused = config(part);
            assert!(
                matches!(refused, Err(ConfigError::Auth(AuthSetupError::AnyIssuerOrAudience))),
                "{part:?}"
            );
        }
        let both = [&whole[..], &["--jwt-secret", "a secret that only the app knows"]].concat();
        assert!(matches!(config(&both), Err(ConfigError::TwoSignIns)));
        let open = ["--jwks-url", "http://id.example/keys"];
        assert!(matches!(config(&open), Err(ConfigError::JwksUrl(_))));
    }

    #[test]
    fn the_app_manages_groups_unless_people_sign_in_by_name_or_it_is_said_otherwise() {
        let manager = |flags: &[&str]| config(flags).unwrap().control.groups_managed_by;
        let secret = ["--jwt-secret", "a secret that only the app knows"];
        assert_eq!(manager(&[]), GroupsManagedBy::Users);
        assert_eq!(manager(&secret), GroupsManagedBy::Service);
        assert_eq!(
            manager(&[&secret[..], &["--groups-managed-by", "users"]].concat()),
            GroupsManagedBy::Users
        );
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
        for bad in ["*", "https://*.example", "app.example", "https://app.example/page"] {
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
        let secret = ["--turn-secret", "s", "--turn-urls", "stun:turn.example:3478"];
        assert!(matches!(config(&secret), Err(ConfigError::TurnSecretWithoutServer)));
        assert!(matches!(config(&["--turn-urls", "https://x"]), Err(ConfigError::TurnUrl(_))));
        assert!(config(&["--turn-secret", "s", "--turn-urls", "turn:turn.example:3478"]).is_ok());
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
}
