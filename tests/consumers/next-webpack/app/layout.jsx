// As the other's. Knows nothing of the package.

export { default, metadata } from '../../next/app/layout.jsx';
