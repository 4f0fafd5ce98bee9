//! A server on a free loopback port, with users and a group.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::middleware::{from_fn, from_fn_with_state};
use serde_json::Value;
use switchyard_media_worker::{Media, MediaConfig, Sending};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::socketio_client::Client;
use super::websocket_client::PlainClient;
use crate::{
    Control, ControlConfig,
    actor::Person,
    auth::{AuthConfig, SignIn},
    call::{CallType, Metadata, Rules},
    calls::{Created, NewCall, RecordingConfig},
    carriers::{
        WebSocketCarrier,
        origin::guard_socket_io,
        socketio::{SocketIoCarrier, keep_little},
    },
    clock::now,
    groups::GroupsManagedBy,
    ice::IceServers,
    ids::{GroupId, UserId},
    limits::Limits,
    store::Role,
    testing::by as actor,
};

pub(in crate::carriers) struct World {
    pub(in crate::carriers) control: Control,
    pub(in crate::carriers) address: SocketAddr,
    pub(in crate::carriers) web_sockets: WebSocketCarrier,
    _data: TempDir,
}

pub(in crate::carriers) struct Caller {
    pub(in crate::carriers) person: Person,
    pub(in crate::carriers) token: String,
}

impl World {
    pub(in crate::carriers) async fn new() -> Self {
        Self::configured(|_| ()).await
    }

    pub(in crate::carriers) async fn configured(change: impl FnOnce(&mut ControlConfig)) -> Self {
        let data = tempfile::tempdir().unwrap();
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let media = MediaConfig {
            bind: vec![loopback],
            port: 0,
            workers: 1,
            max_load: 1.0,
            max_packet_rate: 10_000,
            announced: Vec::new(),
            sending: Sending::default(),
        };
        let mut config = ControlConfig {
            database_url: format!("sqlite://{}", data.path().join("test.db").display()).into(),
            database_schema: "switchyard".to_owned(),
            auth: AuthConfig::new(SignIn::Secret("a secret that only this test knows".into())),
            rules: Rules { ring: None, unattached: None, ..Rules::default() },
            recording: RecordingConfig::in_folder(data.path().join("recordings")),
            limits: Limits::default(),
            max_call_age: Duration::from_secs(3600),
            ice_servers: IceServers::default(),
            origins: Vec::new(),
            trusted_proxies: Vec::new(),
            groups_managed_by: GroupsManagedBy::Users,
            token_grace: Duration::from_secs(300),
        };
        change(&mut config);
        let control = Control::start(config, Media::start(media).await.unwrap()).await.unwrap();
        let (layer, _) = SocketIoCarrier::new(control.clone());
        let (route, web_sockets) = WebSocketCarrier::new(control.clone());
        let listener = TcpListener::bind((loopback, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let origins = from_fn_with_state(Arc::clone(&control.origins), guard_socket_io);
        let router = route.layer(layer).layer(from_fn(keep_little)).layer(origins);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { control, address, web_sockets, _data: data }
    }

    pub(in crate::carriers) async fn caller(&self, name: &str) -> Caller {
        self.caller_until(name, Duration::from_secs(3600)).await
    }

    /// A user with a token. If `valid_for` is less than the tolerated clock difference, the token has just
    /// expired but is still accepted.
    pub(in crate::carriers) async fn caller_until(&self, name: &str, valid_for: Duration) -> Caller {
        let person = Person { id: UserId::random(), name: name.to_owned() };
        self.control.store.put_user(person.id, name, now()).await.unwrap();
        Caller { token: self.token_of(&person, valid_for), person }
    }

    pub(in crate::carriers) fn token_of(&self, person: &Person, valid_for: Duration) -> String {
        let issued = now() - Duration::from_secs(5);
        self.control.auth.mint(&person.id.to_string(), Some(&person.name), valid_for, issued).unwrap()
    }

    pub(in crate::carriers) async fn group(&self, owner: &Caller, others: &[&Caller]) -> GroupId {
        let name = "Team".to_owned().try_into().unwrap();
        let group = self.control.groups.create(&actor(&owner.person), &name).await.unwrap().id;
        for other in others {
            let member = other.person.id;
            self.control.groups.add_member(&actor(&owner.person), group, member, Role::Member).await.unwrap();
        }
        group
    }

    /// Starts a call, and returns its id as text.
    pub(in crate::carriers) async fn call(
        &self,
        by: &Caller,
        group_id: GroupId,
        call_type: CallType,
    ) -> Value {
        let new = NewCall { group_id, call_type, metadata: Metadata::default(), once: None };
        match self.control.calls.create(&actor(&by.person), new).await.unwrap() {
            Created::Now(call) => Value::String(call.id.to_string()),
            Created::Before(answer) => panic!("nothing was repeated: {answer}"),
        }
    }

    /// Waits until the server has this number of sockets.
    pub(in crate::carriers) async fn until_sockets(&self, count: usize) {
        while self.control.hub.socket_count() != count {
            tokio::task::yield_now().await;
        }
    }

    /// The same for tests with paused time: sleeps, because paused time advances only while all tasks wait.
    pub(in crate::carriers) async fn until_sockets_patiently(&self, count: usize) {
        while self.control.hub.socket_count() != count {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Connects over Socket.IO.
    pub(in crate::carriers) async fn connect(&self, caller: &Caller) -> Client {
        Client::connect(self.address, &caller.token).await
    }

    /// Connects over a plain WebSocket.
    pub(in crate::carriers) async fn connect_plain(&self, caller: &Caller) -> PlainClient {
        PlainClient::connect(self.address, &caller.token).await
    }
}
