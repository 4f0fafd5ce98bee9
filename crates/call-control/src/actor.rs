//! The actor of an operation, for access checks and the audit log.

use std::net::IpAddr;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{ErrorCode, Refusal},
    ids::UserId,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    pub who: Who,
    /// Address of the request's client; `None` if there is no request, or its address is unknown.
    pub address: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    User {
        person: Person,
        /// Whether the user's token makes them an admin of the server.
        admin: bool,
    },
    /// The app that uses the server, with its service token.
    Service,
    /// The server itself: a timer, a lost connection, a restart.
    Server,
}

/// A user as others in the call see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub id: UserId,
    pub name: String,
}

/// What kind of actor it was, as it is stored and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "lowercase")]
#[sqlx(type_name = "TEXT", rename_all = "lowercase")]
pub enum ActorKind {
    User,
    Service,
    Server,
}

impl Actor {
    pub const SERVER: Self = Self { who: Who::Server, address: None };

    #[must_use]
    pub const fn kind(&self) -> ActorKind {
        match self.who {
            Who::User { .. } => ActorKind::User,
            Who::Service => ActorKind::Service,
            Who::Server => ActorKind::Server,
        }
    }

    #[must_use]
    pub const fn user_id(&self) -> Option<UserId> {
        match &self.who {
            Who::User { person, .. } => Some(person.id),
            Who::Service | Who::Server => None,
        }
    }

    /// Whether the actor may see and moderate all calls and groups.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        match self.who {
            Who::User { admin, .. } => admin,
            Who::Service | Who::Server => true,
        }
    }

    /// The acting user, for operations that need one.
    ///
    /// # Errors
    /// `forbidden` if the actor is not a user.
    pub fn person(&self) -> Result<&Person, Refusal> {
        match &self.who {
            Who::User { person, .. } => Ok(person),
            Who::Service | Who::Server => {
                Err(Refusal::new(ErrorCode::Forbidden, "only a user can do this, with a token of their own"))
            }
        }
    }

    /// # Errors
    /// `forbidden` for all but the service and server admins.
    pub fn require_admin(&self) -> Result<(), Refusal> {
        if self.is_admin() {
            Ok(())
        } else {
            Err(Refusal::new(ErrorCode::Forbidden, "only admins of the server may do this"))
        }
    }
}
