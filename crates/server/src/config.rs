//! The checked configuration: the server can run with any configuration that [`Config::new`] accepts.
//! `switchyard config check` and the start judge alike, and without a network.

mod judge;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use switchyard_call_control::auth::{AuthConfig, AuthSetupError, InvalidJwksUrl, SignIn, WeakSecret};
use switchyard_call_control::call::Rules;
use switchyard_call_control::ice::{IceServers, is_ice_url};
use switchyard_call_control::limits::Limits;
use switchyard_call_control::origin::Origin;
use switchyard_call_control::store::{Store, StoreError};
use switchyard_call_control::{ControlConfig, GroupsManagedBy};
use switchyard_media_worker::media::Bandwidth;
use switchyard_media_worker::{MediaConfig, Sending};

use crate::settings::{
    AccessSettings, CallSettings, HttpSettings, LimitSettings, MediaSettings, NOT_REACHABLE, RecordSettings,
    RecordingSettings, SecretError, Settings, Switch, UnusableHost, read_secret,
};

pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// The address on which metrics are served, if any.
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) connections: Connections,
    pub(crate) media: MediaConfig,
    pub(crate) control: ControlConfig,
    /// What is allowed, but probably not meant.
    pub(crate) warnings: Vec<String>,
}

/// How many TCP connections there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connections {
    /// `None`: as many as the limit of open files has room for.
    pub(crate) in_all: Option<usize>,
    pub(crate) per_address: usize,
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
    #[error("nobody can sign in: DEV_SIGN_IN is off, and neither JWT_SECRET nor JWKS_URL is set")]
    NoSignIn,
    #[error("JWT_SECRET and JWKS_URL are both set; which one says who is who?")]
    TwoSignIns,
    #[error("JWKS_URL cannot be used")]
    JwksUrl(#[from] InvalidJwksUrl),
    #[error(transparent)]
    Auth(#[from] AuthSetupError),
    #[error(
        "FRONTEND_URL: `{0}` is no origin such as https://app.example.org; names outside ASCII are written \
         in their form xn--…"
    )]
    Origin(String),
    #[error(
        "TURN_URLS: `{0}` is no address such as stun:stun.example.org or \
         turn:turn.example.org:3478?transport=udp"
    )]
    TurnUrl(String),
    #[error("TURN_SECRET is set, but TURN_URLS names no TURN server")]
    TurnSecretWithoutServer,
    #[error(transparent)]
    Host(#[from] UnusableHost),
    #[error(transparent)]
    WeakSecret(#[from] WeakSecret),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{setting}: {path} cannot be used: {reason}")]
    Directory { setting: &'static str, path: PathBuf, reason: std::io::Error },
    #[error("MEDIA_PORT {port} and the ports after it for {workers} media workers go beyond 65535")]
    MediaPorts { port: u16, workers: usize },
    #[error("ANNOUNCED_ADDRESSES: no client can send to {0}, an unspecified, {NOT_REACHABLE} address")]
    Announced(IpAddr),
    #[error("ANNOUNCED_ADDRESSES: nothing listens on {0}, since MEDIA_HOST has no address of its IP version")]
    AnnouncedFamily(IpAddr),
    #[error("PORT and ADMIN_PORT are both {0}")]
    AdminPort(u16),
    #[error("no number of media workers was given, and that of cores cannot be told: {0}")]
    Workers(std::io::Error),
}

impl Config {
    pub(crate) fn new(settings: Settings) -> Result<Self, ConfigError> {
        let HttpSettings { host, port, frontend_url, trusted_proxies, admin_host, admin_port, log_format: _ } =
            settings.http;
        let host = host.resolve("HOST")?;
        let admin_host = admin_host.resolve("ADMIN_HOST")?;
        let admin = admin_port.map(|port| SocketAddr::new(admin_host, port));
        let (media, ice_servers) = media(settings.media)?;
        let data_dir = &settings.records.data_dir;
        judge::check_directory("DATA_DIR", data_dir)?;
        judge::check_directory("RECORDING_DIR", &settings.recording.folder(data_dir))?;
        let database_url = database_url(&settings.records)?;
        Store::check(database_url.expose_secret(), &settings.records.database_schema, data_dir)?;
        let groups_managed_by = settings.access.groups_managed_by;
        let token_grace = Duration::from_secs(settings.access.token_grace_seconds.into());
        let auth = auth(settings.access, host, data_dir)?;
        let control = ControlConfig {
            groups_managed_by: groups_managed_by.unwrap_or(GroupsManagedBy::default_for(&auth.sign_in)),
            token_grace,
            auth,
            database_url,
            database_schema: settings.records.database_schema,
            rules: rules(&settings.calls, &settings.recording, &settings.limits),
            recording: settings.recording.config(data_dir),
            limits: limits(&settings.limits),
            max_call_age: settings.calls.max_call_hours,
            ice_servers,
            origins: origins(&frontend_url)?,
            trusted_proxies,
        };
        let connections = Connections {
            in_all: settings.limits.max_connections.map(|most| most as usize),
            per_address: settings.limits.connections_per_address as usize,
        };
        let listen = SocketAddr::new(host, port);
        let mut config = Self { listen, admin, connections, media, control, warnings: Vec::new() };
        judge::refuse_contradictions(&config)?;
        config.warnings = judge::warnings(&config)?;
        Ok(config)
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
        (None, None) if access.dev_sign_in == Switch::Off => return Err(ConfigError::NoSignIn),
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

/// A slash at the end is allowed, since people copy addresses with one.
fn origins(urls: &[String]) -> Result<Vec<Origin>, ConfigError> {
    let origin = |url: &str| {
        let origin = url.strip_suffix('/').unwrap_or(url).parse();
        origin.map_err(|_| ConfigError::Origin(url.to_owned()))
    };
    urls.iter().map(|url| url.trim()).filter(|url| !url.is_empty()).map(origin).collect()
}

fn media(settings: MediaSettings) -> Result<(MediaConfig, IceServers), ConfigError> {
    let workers = match settings.media_workers {
        Some(workers) => workers.into(),
        None => std::thread::available_parallelism().map_err(ConfigError::Workers)?.get(),
    };
    if let Some(bad) = settings.turn_urls.iter().find(|url| !is_ice_url(url)) {
        return Err(ConfigError::TurnUrl(bad.clone()));
    }
    let secret = read_secret("TURN_SECRET", settings.turn_secret, settings.turn_secret_file.as_deref())?;
    if secret.is_some() && !judge::has_relay(&settings.turn_urls) {
        return Err(ConfigError::TurnSecretWithoutServer);
    }
    let bind: Result<_, _> = settings.media_host.iter().map(|host| host.resolve("MEDIA_HOST")).collect();
    let media = MediaConfig {
        bind: bind?,
        port: settings.media_port,
        workers,
        max_load: f64::from(settings.max_load_percent) / 100.0,
        max_packet_rate: settings.max_packet_rate.get(),
        announced: settings.announced_addresses,
        sending: Sending {
            coalesce: Duration::from_micros(settings.media_coalesce_microseconds),
            padding: settings.media_padding,
            bandwidth: if settings.media_adaptation { Bandwidth::Divided } else { Bandwidth::Unlimited },
        },
    };
    Ok((media, IceServers { urls: settings.turn_urls, secret }))
}

fn database_url(settings: &RecordSettings) -> Result<SecretString, ConfigError> {
    let given =
        read_secret("DATABASE_URL", settings.database_url.clone(), settings.database_url_file.as_deref())?;
    Ok(given.unwrap_or_else(|| {
        let path = settings.data_dir.join("switchyard.db").display().to_string();
        format!("sqlite://{}", path.replace('%', "%25").replace('?', "%3F")).into()
    }))
}

fn rules(settings: &CallSettings, recording: &RecordingSettings, limits: &LimitSettings) -> Rules {
    let unless_zero = |seconds: u32| (seconds > 0).then(|| Duration::from_secs(seconds.into()));
    Rules {
        ring: unless_zero(settings.ring_seconds),
        unattached: unless_zero(settings.unattached_seconds),
        resume_window: Duration::from_secs(settings.resume_seconds.into()),
        max_participants: limits.max_participants.get(),
        max_metadata_bytes: limits.max_metadata_bytes.get(),
        joins: Rules::default().joins.filter(|_| limits.rate_limit_per_user > 0),
        max_recording: recording.recording_max_hours,
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
mod tests;
