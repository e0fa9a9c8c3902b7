// The frame of every page. Knows nothing of the package.

export const metadata = { title: 'Consort by Next', icons: 'data:,' };

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>{children}</body>
    </html>
  );
}
