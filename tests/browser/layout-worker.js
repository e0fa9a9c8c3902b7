// The worker of the webnn lane, whose pictures have their channels last where it is told `?last=1`, and never elsewhere. Knows where it
// lies; must never know what it does.

import { Context } from '../pkg/webnn/context.js';
import '../pkg/webnn/worker.js';

const last = new URL(location.href).searchParams.get('last') === '1';
const { open } = Context;
Context.open = (deviceType) => open.call(Context, deviceType, last);
