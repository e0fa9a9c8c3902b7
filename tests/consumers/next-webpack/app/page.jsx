// As the other's. Knows nothing of the package.

export { default } from '../../next/app/page.jsx';
