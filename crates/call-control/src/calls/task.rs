//! The one owner of a live call. It takes one request, media event or deadline after another, lets the state
//! machine decide, and carries out what that says.

mod answer;
mod effects;
mod recent;

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use effects::Durability;
use futures_util::FutureExt;
use recent::Recent;

use switchyard_media_worker::media::Event as MediaEvent;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};

use super::{
    Calls, Shared, announce,
    ledger::Ledger,
    live::Live,
    media::{CallMedia, Notice},
    request::Request,
};
use crate::{
    actor::Actor,
    call::{Call, Command, Effect, Origin},
    clock::now,
    ids::CallId,
    store::StoreError,
};

pub(super) struct CallTask {
    shared: Arc<Shared>,
    call: Call,
    media: CallMedia,
    ledger: Ledger,
    recent: Recent,
    /// Another owner has taken the call over, or its group is gone: nothing may be written any more.
    fenced: bool,
}

impl CallTask {
    /// Carries out a call's first effects and, unless it is over with them, owns it from then on.
    pub(super) async fn launch(
        shared: &Arc<Shared>,
        call: Call,
        effects: Vec<Effect>,
        media: CallMedia,
        events: mpsc::Receiver<MediaEvent>,
    ) -> Result<(), StoreError> {
        let (requests, mailbox) = mpsc::channel(MAILBOX);
        let id = call.origin().id;
        let &Origin { group_id: group, initiated_by, .. } = call.origin();
        let live = Live { group, initiated_by, requests };
        let ledger = Ledger::new(shared.store.clone(), Arc::clone(&shared.tally));
        let mut task = Self {
            shared: Arc::clone(shared),
            call,
            media,
            ledger,
            recent: Recent::default(),
            fenced: false,
        };
        // Registered before it is announced, so that whoever hears of it finds it.
        shared.live.insert(id, live);
        if let Err(error) = task.carry_out(effects, Durability::Founding, None).await {
            shared.live.remove(id);
            task.media.close().await;
            return Err(error);
        }
        shared.tasks.spawn(task.run_guarded(mailbox, events));
        Ok(())
    }

    /// A call must not stay behind without an owner when its task panics.
    async fn run_guarded(self, mailbox: mpsc::Receiver<Request>, events: mpsc::Receiver<MediaEvent>) {
        let (calls, id) = (Calls { shared: Arc::clone(&self.shared) }, self.id());
        if AssertUnwindSafe(self.run(mailbox, events)).catch_unwind().await.is_err() {
            calls.fail_orphan(id).await;
        }
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Request>, mut events: mpsc::Receiver<MediaEvent>) {
        let stop = self.shared.stop.clone();
        while !self.call.is_over() && !self.fenced {
            let mut deadline = pin!(sleep_until(self.next_deadline()));
            tokio::select! {
                request = mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => break,
                },
                event = events.recv() => match event {
                    Some(event) => self.media.observe(event),
                    None => self.go_on(Command::Fail { message: "the media worker is gone".to_owned() }).await,
                },
                () = &mut deadline => self.tick().await,
                stored = self.ledger.progress() => self.fenced |= stored.is_err(),
                () = stop.cancelled() => break,
            }
            self.tell_media().await;
        }
        self.retire(mailbox).await;
    }

    /// Nothing that happens by itself can be refused: what the database cannot take waits for it.
    async fn go_on(&mut self, command: Command) {
        let mut next = self.call.clone();
        let Ok(effects) = next.handle(command, &Actor::SERVER, now()) else { return };
        self.call = next;
        if let Err(error) = self.carry_out(effects, Durability::Eventual, None).await {
            tracing::error!(call = %self.id(), %error, "a change of the call is lost");
        }
    }

    async fn tick(&mut self) {
        if self.call.next_deadline().is_some_and(|deadline| deadline <= now()) {
            self.go_on(Command::Tick).await;
        }
    }

    /// Records and tells what the last turn changed about media.
    async fn tell_media(&mut self) {
        for notice in self.media.take_notices() {
            match notice {
                Notice::Recorded(change) => self.go_on(Command::Record(vec![change])).await,
                Notice::Observed(audience, event) => {
                    self.shared.hub.send(&audience, &event);
                }
            }
        }
    }

    fn next_deadline(&self) -> Instant {
        let wait = self.call.next_deadline().map(|at| (at - now()).to_std().unwrap_or_default());
        Instant::now() + wait.unwrap_or(IDLE)
    }

    /// Lets go of the call. Requests still in the mailbox are answered by their senders' finding it closed. Until all
    /// is stored the call stays registered, lest somebody take over what the database still says of it.
    async fn retire(self, mailbox: mpsc::Receiver<Request>) {
        drop(mailbox);
        let id = self.id();
        let Self { shared, call, media, mut ledger, fenced, recent: _ } = self;
        shared.hub.forget_call(id);
        for leg in call.open_legs() {
            shared.presence.went(leg.id);
        }
        media.close().await;
        let given_up = async {
            shared.stop.cancelled().await;
            sleep(LAST_PATIENCE).await;
        };
        if !fenced {
            tokio::select! {
                // Fenced: somebody else owns the call, and has said more.
                _ = ledger.drain() => {}
                () = given_up => tracing::error!(call = %id, "the database stayed away; the last changes of the call are lost"),
            }
        }
        shared.live.remove(id);
    }

    fn id(&self) -> CallId {
        self.call.origin().id
    }
}

/// Requests that wait for the owner's turn; whoever brings one more waits as well.
const MAILBOX: usize = 256;
/// With nothing to wait for, any time will do.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a stopping server waits for the database to take what is left.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
