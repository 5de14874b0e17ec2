// The client is not written yet.
export {};
