import { useEffect, useRef } from 'preact/hooks';
import type { CallRoom } from '../state/call-room';
import type { LocalMedia } from '../state/local-media';
import type { Part } from '../state/room-recording';
import { isMicOn, producersOf, type Roster } from '../state/roster';
import { session } from '../state/session';
import { Avatar } from './avatar';
import { Icon } from './icon';

/** Who is in the call, and what can be heard and seen of them. */
export function ParticipantsPanel({ room, onClose }: { room: CallRoom; onClose: () => void }) {
  const me = session.value?.user.id;
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  const onKeyDown = (event: KeyboardEvent) => event.key === 'Escape' && onClose();
  const roster = room.roster.value;
  const people = [...roster.participants.values()];
  return (
    <aside
      class="panel"
      aria-label="People in the call"
      data-testid="participants-panel"
      onKeyDown={onKeyDown}
    >
      <header class="panel-head">
        <h2>
          People <span class="count">{people.length}</span>
        </h2>
        <button
          ref={close}
          type="button"
          class="button quiet icon-only"
          aria-label="Close"
          data-testid="close-participants"
          onClick={onClose}
        >
          <Icon name="close" />
        </button>
      </header>
      <ul class="member-list">
        {people.map(({ userId, name }) => (
          <li key={userId} class="member" data-testid="participant" data-user-id={userId}>
            <Avatar name={name} />
            <span>
              {name}
              {userId === me && <span class="muted"> (you)</span>}
              <PartOf room={room} userId={userId} />
            </span>
            <Activity {...(userId === me ? myActivity(room.local) : activityOf(roster, userId))} />
          </li>
        ))}
      </ul>
    </aside>
  );
}

/** Whether somebody is recorded, where each person decides that: moderators want to know. */
function PartOf({ room, userId }: { room: CallRoom; userId: string }) {
  if (room.recording.running.value?.consent !== 'ask' || !room.moderates.value) return null;
  const part = room.recording.partOf(userId);
  return (
    <span class="part" data-testid="part" data-part={part}>
      {PARTS[part]}
    </span>
  );
}

const PARTS: Record<Part, string> = {
  recorded: 'Agreed to be recorded',
  declined: 'Declined to be recorded',
  unanswered: 'Not recorded: no answer yet',
};

interface ActivityProps {
  mic: boolean;
  camera: boolean;
  screen: boolean;
}

function Activity({ mic, camera, screen }: ActivityProps) {
  const words = [
    mic ? 'microphone on' : 'muted',
    camera && 'camera on',
    screen && 'sharing a screen',
  ].filter(Boolean);
  return (
    <span class="activity">
      <span class="visually-hidden">{words.join(', ')}</span>
      {screen && <Icon name="screen" />}
      {camera && <Icon name="camera" />}
      <Icon name={mic ? 'mic' : 'micOff'} />
    </span>
  );
}

function myActivity({ micOn, cameraOn, sharing }: LocalMedia): ActivityProps {
  return { mic: micOn.value, camera: cameraOn.value, screen: sharing.value };
}

function activityOf(roster: Roster, userId: string): ActivityProps {
  const sends = (source: 'camera' | 'screen') =>
    producersOf(roster, userId, source).some(({ paused }) => !paused);
  return { mic: isMicOn(roster, userId), camera: sends('camera'), screen: sends('screen') };
}
