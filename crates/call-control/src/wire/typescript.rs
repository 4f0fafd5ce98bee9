//! Generates the TypeScript types of both carriers from the types that the server itself parses and
//! serialises.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt::Write;

use ts_rs::{Config, TS, TypeVisitor};

use super::command::{ClientCommand, MediaCommand};
use super::event::ServerEvent;
use super::reply::AckError;
use crate::wire::frame::{ACK, AUTH};

/// The text of a module with the requests and events, for socket.io-client and for the plain WebSocket.
///
/// # Panics
/// If two types have the same name in TypeScript.
#[must_use]
pub fn typescript() -> String {
    let mut module = Module::default();
    ClientCommand::describe(&mut module);
    MediaCommand::describe(&mut module);
    ServerEvent::describe(&mut module);
    module.declare::<AckError>();
    module.print()
}

/// A module under construction.
pub(super) struct Module {
    config: Config,
    requests: String,
    events: String,
    /// Sorted by name, so that the order does not depend on the first use.
    types: BTreeMap<String, Declaration>,
}

struct Declaration {
    of: TypeId,
    text: String,
}

impl Module {
    pub(super) fn request<Payload: TS + 'static, Reply: TS + 'static>(&mut self, name: &str) {
        let (payload, reply) = (self.declare::<Payload>(), self.declare::<Reply>());
        // Writing to a string cannot fail.
        let _ = writeln!(
            self.requests,
            "  '{name}': (data: {payload}, ack: (ack: Ack<{reply}>) => void) => void;"
        );
    }

    pub(super) fn event<Payload: TS + 'static>(&mut self, name: &str) {
        let payload = self.declare::<Payload>();
        let _ = writeln!(self.events, "  '{name}': (data: {payload}) => void;");
    }

    /// Declares the type and all types it refers to; returns its name.
    fn declare<T: TS + 'static>(&mut self) -> String {
        self.visit::<T>();
        T::visit_generics(self);
        T::name(&self.config)
    }

    fn print(self) -> String {
        let Self { requests, events, types, .. } = self;
        let types = types.into_values().map(|declared| declared.text).collect::<Vec<_>>().join("\n");
        format!(
            "{HEADER}
/** Every request a client may send, and what it is answered. */
export interface ClientToServerEvents {{
{requests}}}

/** Every event a client is sent. */
export interface ServerToClientEvents {{
{events}}}

{ENVELOPES}
/** What a plain WebSocket sends: a request, or first of all its token. */
export type RequestFrame =
  | {{ id?: FrameId; event: '{AUTH}'; data: {{ token: string }} }}
  | RequestFrames[keyof ClientToServerEvents];

/** The answer to the request with this id. */
export interface AckFrame<Data = unknown> {{ id?: FrameId; event: '{ACK}'; data: Ack<Data> }}

{types}"
        )
    }
}

impl Default for Module {
    fn default() -> Self {
        Self {
            // All numbers of the server stay far below 2^53, so they fit a JavaScript number.
            config: Config::new().with_large_int("number"),
            requests: String::new(),
            events: String::new(),
            types: BTreeMap::new(),
        }
    }
}

impl TypeVisitor for Module {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        // Only types of this crate have an output path.
        if T::output_path().is_none() {
            return;
        }
        let (name, of) = (T::ident(&self.config), TypeId::of::<T::WithoutGenerics>());
        if let Some(declared) = self.types.get(&name) {
            assert!(declared.of == of, "two types are called {name}");
            return;
        }
        let text = format!("{}export {}\n", T::docs().unwrap_or_default(), T::decl(&self.config));
        self.types.insert(name, Declaration { of, text });
        T::visit_dependencies(self);
    }
}

const HEADER: &str = "// Made by `make generate` from crates/call-control/src/wire: not to be edited.

import type {
  DtlsParameters,
  IceParameters,
  MediaKind,
  RtpCapabilities,
  RtpParameters,
  SctpStreamParameters,
  TransportOptions,
} from 'mediasoup-client/types';
";

const ENVELOPES: &str = "/** What every request is answered. */
export type Ack<Data> = { ok: true; data: Data } | { ok: false; error: AckError };

/** What a plain WebSocket is sent besides answers. */
export type EventFrame = {
  [Name in keyof ServerToClientEvents]: { event: Name; data: Parameters<ServerToClientEvents[Name]>[0] };
}[keyof ServerToClientEvents];

/** Given by the client, and repeated in the answer. */
export type FrameId = number | string;

type RequestFrames = {
  [Name in keyof ClientToServerEvents]: {
    id?: FrameId;
    event: Name;
    data: Parameters<ClientToServerEvents[Name]>[0];
  };
};
";

#[cfg(test)]
mod tests {
    use crate::wire::typescript::*;

    #[test]
    fn every_type_that_is_mentioned_is_declared_once() {
        let module = typescript();
        let declared = |name: &str| {
            let declarations = ["type", "interface"].map(|kind| format!("export {kind} {name} "));
            declarations.iter().map(|declaration| module.matches(declaration).count()).sum::<usize>()
        };
        for name in ["Join", "Joined", "Call", "ErrorCode", "Source", "Consume", "CallId", "EventFrame"] {
            assert_eq!(declared(name), 1, "{name}");
        }
        assert!(!module.contains("bigint"));
    }

    #[test]
    fn the_tables_name_requests_and_events_with_their_payloads() {
        let module = typescript();
        for row in [
            "'call:join': (data: Join, ack: (ack: Ack<Joined>) => void) => void;",
            "'media:consume': (data: Consume, ack: (ack: Ack<Consumed>) => void) => void;",
            "'active-calls': (data: Array<Call>) => void;",
            "'call:signal': (data: CallSignal) => void;",
        ] {
            assert!(module.contains(row), "{row}");
        }
    }

    mod first {
        #[derive(ts_rs::TS)]
        #[expect(dead_code, reason = "only its declaration matters")]
        pub(super) struct Twin {
            one: bool,
        }
    }

    mod second {
        #[derive(ts_rs::TS)]
        #[expect(dead_code, reason = "only its declaration matters")]
        pub(super) struct Twin {
            other: bool,
        }
    }

    #[test]
    #[should_panic = "two types are called Twin"]
    fn two_types_cannot_share_a_name() {
        let mut module = Module::default();
        module.event::<first::Twin>("one");
        module.event::<second::Twin>("other");
    }
}
