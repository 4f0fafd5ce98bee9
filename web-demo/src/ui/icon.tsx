import back from 'lucide-static/icons/arrow-left.svg?raw';
import next from 'lucide-static/icons/arrow-right.svg?raw';
import more from 'lucide-static/icons/chevron-down.svg?raw';
import record from 'lucide-static/icons/circle-dot.svg?raw';
import pause from 'lucide-static/icons/circle-pause.svg?raw';
import play from 'lucide-static/icons/circle-play.svg?raw';
import end from 'lucide-static/icons/circle-stop.svg?raw';
import download from 'lucide-static/icons/download.svg?raw';
import info from 'lucide-static/icons/info.svg?raw';
import signOut from 'lucide-static/icons/log-out.svg?raw';
import enlarge from 'lucide-static/icons/maximize-2.svg?raw';
import groups from 'lucide-static/icons/messages-square.svg?raw';
import mic from 'lucide-static/icons/mic.svg?raw';
import micOff from 'lucide-static/icons/mic-off.svg?raw';
import shrink from 'lucide-static/icons/minimize-2.svg?raw';
import phone from 'lucide-static/icons/phone.svg?raw';
import leave from 'lucide-static/icons/phone-off.svg?raw';
import plus from 'lucide-static/icons/plus.svg?raw';
import screen from 'lucide-static/icons/screen-share.svg?raw';
import screenOff from 'lucide-static/icons/screen-share-off.svg?raw';
import settings from 'lucide-static/icons/settings-2.svg?raw';
import remove from 'lucide-static/icons/trash-2.svg?raw';
import warning from 'lucide-static/icons/triangle-alert.svg?raw';
import people from 'lucide-static/icons/users.svg?raw';
import camera from 'lucide-static/icons/video.svg?raw';
import cameraOff from 'lucide-static/icons/video-off.svg?raw';
import speaker from 'lucide-static/icons/volume-2.svg?raw';
import close from 'lucide-static/icons/x.svg?raw';

const ICONS = {
  back,
  camera,
  cameraOff,
  close,
  download,
  end,
  enlarge,
  groups,
  info,
  leave,
  mic,
  micOff,
  more,
  next,
  pause,
  people,
  phone,
  play,
  plus,
  record,
  remove,
  screen,
  screenOff,
  settings,
  shrink,
  signOut,
  speaker,
  warning,
} satisfies Record<string, string>;

export type IconName = keyof typeof ICONS;

/** A drawing beside words; screen readers skip it. */
export function Icon({ name }: { name: IconName }) {
  // The markup comes from the package at build time, never from people.
  return <span class="icon" aria-hidden="true" dangerouslySetInnerHTML={{ __html: ICONS[name] }} />;
}

/** Switchyard's own sign: one track becoming two. */
export function Logo() {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="9" class="logo-ground" />
      <path d="M7 22h18M7 22c8 0 8-12 18-12" class="logo-track" />
      <circle cx="25" cy="10" r="1.6" class="logo-end" />
      <circle cx="25" cy="22" r="1.6" class="logo-end" />
    </svg>
  );
}
