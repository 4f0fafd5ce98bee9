//! A complete call control with real media workers on loopback, and sockets that record the events sent to
//! them.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use serde_json::Value;
use switchyard_media_worker::{Media, MediaConfig, Sending};
use tokio::sync::mpsc;

use super::TestStore;
use crate::{
    Control, ControlConfig,
    actor::{Actor, Person},
    auth::{AuthConfig, SignIn},
    call::{CallType, CallView, Metadata, Rules},
    calls::{Created, NewCall},
    clock::now,
    error::Refusal,
    groups::GroupsManagedBy,
    hub::{Closing, Outlet, SlowSocket, SocketId},
    ice::IceServers,
    ids::{CallId, DeviceId, GroupId, UserId},
    limits::Limits,
    store::{Group, NewMember, Role},
    wire::{Frame, command::Join, reply::Joined},
};

pub(crate) struct World {
    pub(crate) control: Control,
}

/// As [`Rules::default`], but constant and without timers for ringing and unattached legs.
const STANDARD_RULES: Rules = Rules {
    ring: None,
    unattached: None,
    resume_window: Duration::from_secs(30),
    max_participants: 500,
    max_metadata_bytes: 16 * 1024,
    joins: None,
    max_recording: Duration::from_secs(24 * 3600),
};

/// Timers too long to expire during a test.
pub(crate) const fn slow_rules() -> Rules {
    let long = Duration::from_secs(600);
    Rules { ring: Some(long), unattached: Some(long), resume_window: long, ..STANDARD_RULES }
}

/// Timers that expire almost at once.
pub(crate) const fn fast_rules() -> Rules {
    let short = Duration::from_millis(50);
    Rules { ring: Some(short), unattached: Some(short), resume_window: short, ..STANDARD_RULES }
}

impl World {
    pub(crate) async fn new(store: &TestStore) -> Self {
        Self::with_rules(store, slow_rules()).await
    }

    pub(crate) async fn with_rules(store: &TestStore, rules: Rules) -> Self {
        Self::start(store, rules, SignIn::Secret(SECRET.into())).await
    }

    pub(crate) async fn start(store: &TestStore, rules: Rules, sign_in: SignIn) -> Self {
        Self::with(Self::config(store, rules, sign_in)).await
    }

    /// The configuration that [`World::start`] uses.
    pub(crate) fn config(store: &TestStore, rules: Rules, sign_in: SignIn) -> ControlConfig {
        ControlConfig {
            database_url: store.url.as_str().into(),
            database_schema: store.schema.clone(),
            auth: AuthConfig::new(sign_in),
            rules,
            recording: store.recording(),
            limits: Limits::default(),
            max_call_age: Duration::from_secs(24 * 3600),
            ice_servers: IceServers::default(),
            origins: vec!["http://localhost:5173".parse().unwrap()],
            trusted_proxies: Vec::new(),
            groups_managed_by: GroupsManagedBy::Users,
            token_grace: Duration::from_secs(300),
        }
    }

    pub(crate) async fn with(config: ControlConfig) -> Self {
        Self::with_max_load(config, 1.0).await
    }

    /// Starts with media workers that refuse joins above this load; below 0 they always count as overloaded.
    pub(crate) async fn with_max_load(config: ControlConfig, max_load: f64) -> Self {
        Self { control: Control::start(config, Self::media(max_load).await).await.unwrap() }
    }

    pub(crate) async fn media(max_load: f64) -> Media {
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let media = MediaConfig {
            bind: vec![loopback],
            port: 0,
            workers: 1,
            max_load,
            max_packet_rate: 10_000,
            announced: Vec::new(),
            sending: Sending::default(),
        };
        Media::start(media).await.unwrap()
    }

    pub(crate) async fn person(&self, name: &str) -> Person {
        let person = Person { id: UserId::random(), name: name.to_owned() };
        self.control.store.put_user(person.id, name, now()).await.unwrap();
        person
    }

    pub(crate) async fn group(&self, owner: &Person, members: &[&Person]) -> GroupId {
        let now = now();
        let group =
            Group { id: GroupId::random(), name: "Team".to_owned(), created_at: now, updated_at: now };
        self.control.store.create_group(&group, Some(owner.id), &Actor::SERVER).await.unwrap();
        for member in members {
            let member = NewMember { user: member.id, role: Role::Member, most: 1_000 };
            self.control.store.add_member(group.id, member, &Actor::SERVER, now).await.unwrap();
        }
        group.id
    }

    pub(crate) async fn call(&self, by: &Person, group_id: GroupId) -> Result<CallView, Refusal> {
        let new = NewCall { group_id, call_type: CallType::Video, metadata: Metadata::default(), once: None };
        match self.control.calls.create(&super::by(by), new).await? {
            Created::Now(call) => Ok(*call),
            Created::Before(answer) => panic!("nothing was repeated: {answer}"),
        }
    }

    /// Registers a socket of this user.
    pub(crate) fn socket(&self, user: &Person) -> (SocketId, Heard) {
        let (outlet, heard) = TestOutlet::new();
        (self.control.hub.register(user.id, Box::new(outlet)), heard)
    }

    pub(crate) async fn attach(
        &self,
        by: &Person,
        socket: SocketId,
        call_id: CallId,
        device: &str,
    ) -> Result<Joined, Refusal> {
        let join = Join {
            call_id,
            device: Some(DeviceId::try_from(device.to_owned()).unwrap()),
            rtp_capabilities: None,
            media: Default::default(),
            resume_token: None,
        };
        self.control.calls.attach(&super::by(by), socket, join).await
    }
}

/// A socket that passes its events to a [`Heard`].
pub(crate) struct TestOutlet(mpsc::UnboundedSender<(&'static str, Value)>);

/// The events that were sent to a socket.
pub(crate) struct Heard(mpsc::UnboundedReceiver<(&'static str, Value)>);

impl TestOutlet {
    pub(crate) fn new() -> (Self, Heard) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), Heard(receiver))
    }
}

impl Outlet for TestOutlet {
    fn send(&self, frame: &Frame) -> Result<(), SlowSocket> {
        let data = serde_json::from_str(frame.data()).unwrap();
        self.0.send((frame.name(), data)).map_err(|_| SlowSocket)
    }

    fn close(&self, _why: Closing) {}
}

impl Heard {
    /// Waits for the next event of this name; other events are dropped.
    pub(crate) async fn next(&mut self, name: &str) -> Value {
        let wait = async {
            loop {
                let (heard, data) = self.0.recv().await.expect("the socket is open");
                if heard == name {
                    return data;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap_or_else(|_| panic!("{name} never came"))
    }

    /// The events received so far.
    pub(crate) fn so_far(&mut self) -> Vec<(&'static str, Value)> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

pub(crate) const SECRET: &str = "a secret for tests that is long enough";
