//! The wire events for recorded events.

use crate::{
    call::{Call, CallView, Event, InvitationStatus, MediaChange, RecordedEvent, Stamp},
    clock::now,
    ids::CallId,
    wire::event::{
        CallEnded, CallInvitations, CallLocked, CallPermissions, CallRecording, MuteRequest, NewProducer,
        ParticipantChange, ProducerChange, ServerEvent,
    },
};

/// Whether the event goes to every member of the group (creation and end) or only to the legs of the call.
pub(super) const fn concerns_members(event: &Event) -> bool {
    match event {
        Event::CallCreated { .. } | Event::CallEnded { .. } => true,
        Event::CallStarted
        | Event::Invited { .. }
        | Event::InvitationsEnded { .. }
        | Event::RoomChanged
        | Event::MetadataChanged
        | Event::LockChanged { .. }
        | Event::PermissionsChanged { .. }
        | Event::ProducerMuted { .. }
        | Event::LegJoined { .. }
        | Event::LegLeft { .. }
        | Event::RecordingStarted { .. }
        | Event::RecordingPaused { .. }
        | Event::RecordingStopped { .. }
        | Event::RecordingConsent { .. }
        | Event::RecordingFailed { .. }
        | Event::Media(_) => false,
    }
}

/// Each recorded event becomes exactly one wire event, so that clients see no gap in `seq`.
pub(super) fn server_event(call: &Call, recorded: RecordedEvent) -> ServerEvent {
    let RecordedEvent { call_id, stamp, event, at: _ } = recorded;
    let view = || CallView { epoch: stamp.epoch, seq: stamp.seq, ..call.view(now()) };
    let recording = || CallRecording {
        call_id,
        recording: call.recording_view(),
        by: None,
        reason: None,
        answer: None,
        code: None,
        stamp,
    };
    match event {
        Event::CallCreated { .. } => ServerEvent::CallCreated(view()),
        Event::Invited { users, by } => {
            let status = InvitationStatus::Ringing;
            ServerEvent::CallInvitations(CallInvitations { call_id, user_ids: users, status, by, stamp })
        }
        Event::InvitationsEnded { users, how } => ServerEvent::CallInvitations(CallInvitations {
            call_id,
            user_ids: users,
            status: how,
            by: None,
            stamp,
        }),
        Event::CallStarted | Event::RoomChanged | Event::MetadataChanged => ServerEvent::CallUpdated(view()),
        Event::CallEnded { ending, duration_seconds } => ServerEvent::CallEnded(CallEnded {
            call_id,
            group_id: call.origin().group_id,
            reason: ending.as_str().to_owned(),
            duration_seconds,
            stamp,
        }),
        Event::LegJoined { person, participants, first: true, .. } => {
            ServerEvent::ParticipantJoined(ParticipantChange {
                call_id,
                user_id: person.id,
                name: person.name,
                participants,
                stamp,
                reason: None,
            })
        }
        Event::LegLeft { person, participants, last: true, reason, .. } => {
            ServerEvent::ParticipantLeft(ParticipantChange {
                call_id,
                user_id: person.id,
                name: person.name,
                participants,
                stamp,
                reason: Some(reason.as_str().to_owned()),
            })
        }
        Event::LegJoined { first: false, .. } | Event::LegLeft { last: false, .. } => {
            ServerEvent::CallUpdated(view())
        }
        Event::LockChanged { locked, by } => {
            ServerEvent::CallLocked(CallLocked { call_id, locked, by, stamp })
        }
        Event::PermissionsChanged { user, permissions, by } => {
            ServerEvent::CallPermissions(CallPermissions { call_id, user_id: user, permissions, by, stamp })
        }
        Event::ProducerMuted { producer, force: true, by } => ServerEvent::ProducerPaused(ProducerChange {
            by,
            ..ProducerChange::new(call_id, stamp, producer)
        }),
        Event::ProducerMuted { producer, force: false, by } => {
            ServerEvent::MuteRequest(MuteRequest { call_id, producer, by, stamp })
        }
        Event::RecordingStarted { by, .. } | Event::RecordingPaused { by, .. } => {
            ServerEvent::CallRecording(CallRecording { by, ..recording() })
        }
        Event::RecordingStopped { reason, by, .. } => {
            ServerEvent::CallRecording(CallRecording { by, reason: Some(reason), ..recording() })
        }
        Event::RecordingConsent { answer, .. } => {
            ServerEvent::CallRecording(CallRecording { answer: Some(answer), ..recording() })
        }
        Event::RecordingFailed { code } => {
            ServerEvent::CallRecording(CallRecording { code: Some(code), ..recording() })
        }
        Event::Media(change) => media_event(change, call_id, stamp),
    }
}

fn media_event(change: MediaChange, call_id: CallId, stamp: Stamp) -> ServerEvent {
    let changed = |producer| ProducerChange::new(call_id, stamp, producer);
    match change {
        MediaChange::ProducerOpened(producer) => {
            ServerEvent::NewProducer(NewProducer { call_id, stamp, producer })
        }
        MediaChange::ProducerClosed(producer) => ServerEvent::ProducerClosed(changed(producer)),
        MediaChange::ProducerPaused(producer) => ServerEvent::ProducerPaused(changed(producer)),
        MediaChange::ProducerResumed(producer) => ServerEvent::ProducerResumed(changed(producer)),
    }
}
