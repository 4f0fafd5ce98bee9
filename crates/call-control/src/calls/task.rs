//! The owner task of a live call. It handles one request, media event or deadline after another: the state
//! machine decides, and the task performs the resulting effects.

mod answer;
mod effects;
mod recent;
mod recording;

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use effects::Durability;
use futures_util::FutureExt;
use recent::Recent;
use recording::Taps;

use switchyard_media_worker::media::{Event as MediaEvent, ProducerId};
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
    call::{Call, Command, Effect, Origin, RecordingEnd},
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
    taps: Taps,
    /// Who speaks, recorded or not: a recording may begin while they do.
    speaker: Option<ProducerId>,
    /// Another owner has taken over the call, or its group was deleted: this task must not write any more.
    fenced: bool,
}

impl CallTask {
    /// Performs the first effects of a call and starts its owner task, which stops at once if the call ended
    /// with them.
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
            taps: Taps::default(),
            speaker: None,
            fenced: false,
        };
        // Registered before it is announced, so that a client that gets the announcement can join at once.
        shared.live.insert(id, live);
        if let Err(error) = task.carry_out(effects, Durability::Founding, None).await {
            shared.live.remove(id);
            task.media.close().await;
            return Err(error);
        }
        shared.tasks.spawn(task.run_guarded(mailbox, events));
        Ok(())
    }

    /// Runs the task. If it panics, the call is recorded as failed, so that it does not stay without an
    /// owner.
    async fn run_guarded(self, mailbox: mpsc::Receiver<Request>, events: mpsc::Receiver<MediaEvent>) {
        let (calls, id) = (Calls { shared: Arc::clone(&self.shared) }, self.id());
        if AssertUnwindSafe(self.run(mailbox, events)).catch_unwind().await.is_err() {
            calls.fail_orphan(id).await;
        }
    }

    async fn run(mut self, mut mailbox: mpsc::Receiver<Request>, mut events: mpsc::Receiver<MediaEvent>) {
        let stop = self.shared.stop.clone();
        self.take_up_recording().await;
        while !self.call.is_over() && !self.fenced {
            let mut deadline = pin!(sleep_until(self.next_deadline()));
            tokio::select! {
                request = mailbox.recv() => match request {
                    Some(request) => self.answer(request).await,
                    None => break,
                },
                event = events.recv() => match event {
                    Some(event) => {
                        self.note_speaker(&event);
                        self.media.observe(event);
                    }
                    None => self.go_on(Command::Fail { message: "the media worker is gone".to_owned() }).await,
                },
                () = &mut deadline => self.tick().await,
                stored = self.ledger.progress() => self.fenced |= stored.is_err(),
                () = stop.cancelled() => break,
            }
            self.tell_media().await;
            self.fulfil_wish().await;
        }
        self.retire(mailbox).await;
    }

    /// Applies a command that no client asked for. It cannot be refused: if the database is unreachable, the
    /// changes wait in the ledger.
    async fn go_on(&mut self, command: Command) {
        let Ok(effects) = self.call.handle(command, &Actor::SERVER, now()) else { return };
        if let Err(error) = self.carry_out(effects, Durability::Eventual, None).await {
            tracing::error!(call = %self.id(), %error, "a change of the call is lost");
        }
    }

    async fn tick(&mut self) {
        if self.call.next_deadline().is_some_and(|deadline| deadline <= now()) {
            self.go_on(Command::Tick).await;
        }
    }

    /// Records and sends the notices about media that the last step collected.
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

    /// Ends the ownership. The mailbox is closed, so the senders of waiting requests see that the call is
    /// over. The call stays registered until all changes are stored: otherwise its outdated rows could be
    /// taken over.
    async fn retire(self, mailbox: mpsc::Receiver<Request>) {
        drop(mailbox);
        let id = self.id();
        let Self { shared, call, media, mut ledger, fenced, recent: _, taps, speaker: _ } = self;
        shared.hub.forget_call(id);
        shared.rings.forget(id);
        for leg in call.open_legs() {
            shared.presence.went(leg.id);
        }
        if fenced && let Some(recording) = taps.open {
            // The new owner decides what becomes of it; if that is here, it opens the recording again.
            shared.studio.close(recording, RecordingEnd::ServerRestart).await;
        }
        media.close().await;
        let given_up = async {
            shared.stop.cancelled().await;
            sleep(LAST_PATIENCE).await;
        };
        if !fenced {
            tokio::select! {
                // An error is `Fenced`: another owner has written newer changes.
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

/// Requests that may wait for the task. A sender with one more waits for room.
const MAILBOX: usize = 256;
/// The wait when the call has no deadline; any long time will do.
const IDLE: Duration = Duration::from_secs(3600);
/// How long a stopping server waits for the database to store the remaining changes.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
