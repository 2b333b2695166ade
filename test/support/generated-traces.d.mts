export function generateTrace(kind: string, capacity: number): Int32Array
