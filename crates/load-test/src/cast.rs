//! The users of a run: signed in, in one group, with a call to join.

use crate::api::{Api, User};
use crate::recording::{self, RecordingReport};
use anyhow::{Context, Result};
use futures_util::{StreamExt, TryStreamExt, stream};

pub(crate) struct Cast {
    api: Api,
    owner: User,
    group: String,
    pub(crate) call_id: String,
    recruited: usize,
}

impl Cast {
    /// Creates a group with one member, and its call.
    pub(crate) async fn gather(api: Api) -> Result<Self> {
        let owner = api.sign_in("Load test host").await?;
        let group = api.create_group("Load test", &owner, &[]).await?;
        let mut cast = Self { api, owner, group, call_id: String::new(), recruited: 0 };
        match cast.api.create_call(&cast.group, &cast.owner).await {
            Ok(call_id) => cast.call_id = call_id,
            Err(error) => {
                cast.dismiss().await?;
                return Err(error);
            }
        }
        Ok(cast)
    }

    /// Signs in `count` more users and adds them to the group.
    pub(crate) async fn recruit(&mut self, count: usize) -> Result<Vec<User>> {
        let (api, owner, group) = (&self.api, &self.owner, &self.group);
        let recruit = |number| async move {
            let user = api.sign_in(&format!("Load test {number}")).await?;
            api.add_member(group, owner, &user).await?;
            anyhow::Ok(user)
        };
        let numbers = self.recruited + 1..=self.recruited + count;
        let users = stream::iter(numbers).map(recruit).buffered(CONCURRENT_REQUESTS).try_collect().await;
        self.recruited += count;
        users.context("making members")
    }

    /// Starts recording the call. Returns the recording's id.
    pub(crate) async fn record(&self) -> Result<String> {
        let started = self.api.start_recording(&self.call_id, &self.owner).await;
        started.context("starting to record (it needs a server that records)")
    }

    /// Ends a recording of the call, and reads what is in it.
    pub(crate) async fn end_recording(&self, id: &str) -> Result<RecordingReport> {
        recording::finish(&self.api, id, &self.owner).await
    }

    /// Deletes the group, so that no data is left on the server.
    pub(crate) async fn dismiss(self) -> Result<()> {
        self.api.delete_group(&self.group, &self.owner).await
    }
}

/// Signs in the first `count` users, the same in every run.
pub(crate) async fn sign_in(api: &Api, count: usize) -> Result<Vec<User>> {
    let sign_in = |number| async move { api.sign_in(&format!("Load test {number}")).await };
    stream::iter(1..=count).map(sign_in).buffered(CONCURRENT_REQUESTS).try_collect().await
}

/// Requests at the same time.
const CONCURRENT_REQUESTS: usize = 16;
