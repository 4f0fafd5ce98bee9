import { Icon, type IconName } from './icon';

interface ControlProps {
  icon: IconName;
  label: string;
  /** The whole sentence, for tooltips and screen readers. */
  hint: string;
  testId: string;
  off?: boolean;
  pressed?: boolean;
  danger?: boolean;
  /** Something goes on until the button is pressed again. */
  live?: boolean;
  badge?: number;
  /** Why the button cannot be used, in place of the hint. */
  forbidden?: string | false;
  onClick: () => void;
}

/** A button of the bar at the bottom of a call. */
export function Control(props: ControlProps) {
  const { icon, label, testId, off, pressed, danger, live, badge, forbidden, onClick } = props;
  const hint = forbidden || props.hint;
  const looks = [off && 'off', pressed && 'pressed', danger && 'danger', live && 'live-control'];
  const look = looks.filter(Boolean).join(' ');
  return (
    <button
      type="button"
      class={`control ${look}`}
      aria-label={hint}
      aria-pressed={pressed}
      title={hint}
      data-testid={testId}
      data-off={off}
      disabled={Boolean(forbidden)}
      onClick={onClick}
    >
      <span class="round">
        <Icon name={icon} />
        {badge !== undefined && <span class="badge">{badge}</span>}
      </span>
      <span class="control-label" aria-hidden="true">
        {label}
      </span>
    </button>
  );
}
