//! Settings as flags, environment variables and TOML keys. [`crate::config::Config`] is their checked form.

mod host;
mod recording;
mod secret;

use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use switchyard_call_control::GroupsManagedBy;
use switchyard_call_control::address::TrustedProxy;
use switchyard_media_worker::Sending;

pub(crate) use host::{Host, NOT_REACHABLE, UnusableHost, is_reachable};
pub(crate) use recording::RecordingSettings;
pub(crate) use secret::{SecretError, read_secret};

#[derive(Debug, Args)]
pub(crate) struct Settings {
    #[command(flatten)]
    pub(crate) http: HttpSettings,
    #[command(flatten)]
    pub(crate) media: MediaSettings,
    #[command(flatten)]
    pub(crate) access: AccessSettings,
    #[command(flatten)]
    pub(crate) records: RecordSettings,
    #[command(flatten)]
    pub(crate) calls: CallSettings,
    #[command(flatten)]
    pub(crate) recording: RecordingSettings,
    #[command(flatten)]
    pub(crate) limits: LimitSettings,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpSettings {
    /// Address to listen on, or a name such as localhost, which is looked up at the start.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: Host,
    /// TCP port to listen on.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,
    /// Origins of web pages that may call this server, besides its own; comma-separated.
    #[arg(long, env = "FRONTEND_URL", value_delimiter = ',', default_value = "http://localhost:5173")]
    pub(crate) frontend_url: Vec<String>,
    /// Proxies in front of the server, addresses or networks such as 10.0.0.0/8, comma-separated.
    /// X-Forwarded-For is used for a client's address only in requests from one of these proxies.
    #[arg(long, env = "TRUSTED_PROXIES", value_delimiter = ',')]
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    /// Address to serve metrics and traces on, for the operators of the server.
    #[arg(long, env = "ADMIN_HOST", default_value = "127.0.0.1")]
    pub(crate) admin_host: Host,
    /// TCP port for Prometheus, which requests `GET /metrics`, and for `GET /transports/{id}/trace`; 0 takes any free port
    /// [default: none, and neither].
    #[arg(long, env = "ADMIN_PORT")]
    pub(crate) admin_port: Option<u16>,
    /// Format of log lines.
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Media")]
pub(crate) struct MediaSettings {
    /// Addresses to bind for media; an unspecified one stands for the addresses of its family on all
    /// interfaces.
    #[arg(long, env = "MEDIA_HOST", value_delimiter = ',', default_values = ["0.0.0.0", "::"])]
    pub(crate) media_host: Vec<Host>,
    /// UDP port of the first media worker; worker i listens on this port + i. 0 takes any free ports.
    #[arg(long, env = "MEDIA_PORT", default_value_t = 40_000)]
    pub(crate) media_port: u16,
    /// Media worker threads [default: one per core].
    #[arg(long, env = "MEDIA_WORKERS", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) media_workers: Option<u16>,
    /// How many microseconds media may wait for more media, so that one system call sends more packets; at
    /// most 1000.
    #[arg(
        long,
        env = "MEDIA_COALESCE_MICROSECONDS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=Sending::MAX_COALESCE.as_micros() as u64)
    )]
    pub(crate) media_coalesce_microseconds: u64,
    /// Whether RTP padding makes packets equal that differ by a few bytes, so that one system call sends
    /// them.
    #[arg(long, env = "MEDIA_PADDING", default_value_t = true, action = ArgAction::Set)]
    pub(crate) media_padding: bool,
    /// Whether each video is limited to the layers that the path to its receiver carries, sound first. If not, every
    /// video is sent in the layers that its receiver asks for, and nothing is estimated.
    #[arg(long, env = "MEDIA_ADAPTATION", default_value_t = true, action = ArgAction::Set)]
    pub(crate) media_adaptation: bool,
    /// Share of the media workers' time, in per cent, above which new calls and new participants are refused.
    #[arg(long, env = "MAX_LOAD_PERCENT", default_value_t = 90, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) max_load_percent: u8,
    /// Media packets that a client may send per second on one transport; packets beyond the limit are dropped
    /// and counted.
    #[arg(long, env = "MAX_PACKET_RATE", default_value = "10000")]
    pub(crate) max_packet_rate: NonZeroU32,
    /// Addresses announced to clients instead of the bound ones, for a NAT that keeps port numbers.
    #[arg(long, env = "ANNOUNCED_ADDRESSES", value_delimiter = ',')]
    pub(crate) announced_addresses: Vec<IpAddr>,
    /// STUN and TURN servers announced to clients: stun:, turn: and turns: addresses.
    #[arg(long, env = "TURN_URLS", value_delimiter = ',')]
    pub(crate) turn_urls: Vec<String>,
    /// coturn's static-auth-secret, from which time-limited credentials for clients are made.
    #[arg(long, env = "TURN_SECRET", hide_env_values = true)]
    pub(crate) turn_secret: Option<String>,
    #[arg(long, env = "TURN_SECRET_FILE", hide = true)]
    pub(crate) turn_secret_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Access")]
pub(crate) struct AccessSettings {
    /// The secret that your app signs its users' tokens with (HS256), at least 16 bytes and better 32.
    #[arg(long, env = "JWT_SECRET", hide_env_values = true)]
    pub(crate) jwt_secret: Option<String>,
    #[arg(long, env = "JWT_SECRET_FILE", hide = true)]
    pub(crate) jwt_secret_file: Option<PathBuf>,
    /// Instead of JWT_SECRET: the address at which the identity provider that signs your users' tokens
    /// (RS256, ES256, EdDSA) publishes its keys. Requires JWT_ISSUER and JWT_AUDIENCE.
    #[arg(long, env = "JWKS_URL")]
    pub(crate) jwks_url: Option<String>,
    /// Whether anybody on this machine can sign in by name: without JWT_SECRET and JWKS_URL, and on a loopback
    /// HOST. It ends with the first request through a proxy that names its client. A proxy or tunnel that adds
    /// no header is not noticed: whoever it lets through can sign in under any name.
    #[arg(long, env = "DEV_SIGN_IN", value_enum, default_value_t = Switch::On)]
    pub(crate) dev_sign_in: Switch,
    /// If given, tokens must carry this `iss`.
    #[arg(long, env = "JWT_ISSUER")]
    pub(crate) jwt_issuer: Option<String>,
    /// If given, tokens must carry this `aud`; if not, any `aud` is accepted.
    #[arg(long, env = "JWT_AUDIENCE")]
    pub(crate) jwt_audience: Option<String>,
    /// How many seconds a socket stays open after its token expired, so that its client can send a new token.
    #[arg(long, env = "TOKEN_GRACE_SECONDS", default_value_t = 300)]
    pub(crate) token_grace_seconds: u32,
    /// Users whose token has this claim with the value true are server admins.
    #[arg(long, env = "ADMIN_CLAIM")]
    pub(crate) admin_claim: Option<String>,
    /// The token of your app itself, with which it keeps users and groups synchronized.
    #[arg(long, env = "SERVICE_TOKEN", hide_env_values = true)]
    pub(crate) service_token: Option<String>,
    #[arg(long, env = "SERVICE_TOKEN_FILE", hide = true)]
    pub(crate) service_token_file: Option<PathBuf>,
    /// Who creates groups and decides about their members: `service` or `users` [default: service, with
    /// sign-in by name users].
    #[arg(long, env = "GROUPS_MANAGED_BY")]
    pub(crate) groups_managed_by: Option<GroupsManagedBy>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Records")]
pub(crate) struct RecordSettings {
    /// Directory for the data that the server keeps between runs.
    #[arg(long, env = "DATA_DIR", default_value = "./data")]
    pub(crate) data_dir: PathBuf,
    /// sqlite: or postgres: address of the database [default: sqlite://DATA_DIR/switchyard.db].
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    #[arg(long, env = "DATABASE_URL_FILE", hide = true)]
    pub(crate) database_url_file: Option<PathBuf>,
    /// On Postgres, the schema of all tables.
    #[arg(long, env = "DATABASE_SCHEMA", default_value = "switchyard")]
    pub(crate) database_schema: String,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Calls")]
pub(crate) struct CallSettings {
    /// A call that nobody else joins within this many seconds is cancelled; 0: never. People are rung for as long; with 0
    /// for a minute.
    #[arg(long, env = "RING_SECONDS", default_value_t = 60)]
    pub(crate) ring_seconds: u32,
    /// How many seconds a leg stays in its call after it lost its connection.
    #[arg(long, env = "RESUME_SECONDS", default_value_t = 30)]
    pub(crate) resume_seconds: u32,
    /// A leg joined over REST that no device claims within this many seconds ends; 0: never.
    #[arg(long, env = "UNATTACHED_SECONDS", default_value_t = 300)]
    pub(crate) unattached_seconds: u32,
    /// Calls older than this many hours end.
    #[arg(long, env = "MAX_CALL_HOURS", default_value = "24", value_parser = hours)]
    pub(crate) max_call_hours: Duration,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitSettings {
    /// Maximum size of a request body, in bytes.
    #[arg(long, env = "MAX_BODY_BYTES", default_value = "65536")]
    pub(crate) max_body_bytes: NonZeroUsize,
    /// Maximum size of the metadata that an app stores with a call, in bytes of JSON text.
    #[arg(long, env = "MAX_METADATA_BYTES", default_value = "16384")]
    pub(crate) max_metadata_bytes: NonZeroUsize,
    /// Maximum number of members of a group.
    #[arg(long, env = "MAX_GROUP_MEMBERS", default_value = "1000")]
    pub(crate) max_group_members: NonZeroUsize,
    /// Maximum number of participants in a call at the same time.
    #[arg(long, env = "MAX_PARTICIPANTS", default_value = "500")]
    pub(crate) max_participants: NonZeroUsize,
    /// Maximum number of tracks that one device may send in a call.
    #[arg(long, env = "MAX_PRODUCERS_PER_LEG", default_value = "8")]
    pub(crate) max_producers_per_leg: NonZeroUsize,
    /// Maximum number of tracks that one device may receive over one transport.
    #[arg(long, env = "MAX_CONSUMERS_PER_TRANSPORT", default_value = "200")]
    pub(crate) max_consumers_per_transport: NonZeroUsize,
    /// Maximum number of open connections of one user.
    #[arg(long, env = "MAX_SOCKETS_PER_USER", default_value = "32")]
    pub(crate) max_sockets_per_user: NonZeroUsize,
    /// REST requests that one user may send per second; a burst may hold four seconds' worth. 0: no limit, and
    /// none for how often a user may join one call (else 20 times at once, and once more every 3 seconds).
    #[arg(long, env = "RATE_LIMIT_PER_USER", default_value_t = 50)]
    pub(crate) rate_limit_per_user: u32,
    /// REST requests from one client address (IPv6: one /64 network) per second, with the same burst;
    /// loopback addresses are not limited. 0: no limit.
    #[arg(long, env = "RATE_LIMIT_PER_ADDRESS", default_value_t = 100)]
    pub(crate) rate_limit_per_address: u32,
    /// TCP connections at the same time [default: as many as the limit of open files has room for].
    #[arg(long, env = "MAX_CONNECTIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_connections: Option<u32>,
    /// TCP connections from one client's address; loopback addresses are not limited.
    #[arg(long, env = "CONNECTIONS_PER_ADDRESS", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) connections_per_address: u32,
}

pub(crate) fn hours(text: &str) -> Result<Duration, String> {
    let hours: u64 = text.parse().map_err(|_| "a whole number of hours".to_owned())?;
    if (1..=MAX_HOURS).contains(&hours) {
        Ok(Duration::from_secs(hours * 3600))
    } else {
        Err(format!("from 1 to {MAX_HOURS} hours"))
    }
}

/// Hours in a year: a longer validity is probably a typing error.
const MAX_HOURS: u64 = 24 * 366;
