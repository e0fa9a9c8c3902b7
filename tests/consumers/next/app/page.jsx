'use client';
// A client component that imports the package at its top, as people do: the server renders it too, and imports the package for that.

import * as consort from 'consort-ml';
import { useEffect, useRef, useState } from 'react';
import { check, drive } from '../../shared/check.js';

export default function Page() {
  const [said, say] = useState('…');
  const began = useRef(false);
  useEffect(() => {
    if (began.current) return;
    began.current = true;
    globalThis.driven = { lines: [], result: null, error: null };
    drive(async () => {
      const told = await check(consort, new URL('/model/', location.href));
      say(told);
      return told;
    });
  }, []);
  return <p>{said}</p>;
}
