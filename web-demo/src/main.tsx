import { render } from 'preact';
import { installTestHook } from './state/test-hook';
import { App } from './ui/app';
import './style/index.css';

const root = document.getElementById('app');
if (!root) throw new Error('The page has no #app.');
installTestHook();
render(<App />, root);
