// @ts-check
/** Whether this server gives a device its leg back for a resume token. */
export const RESUMES = process.env.SWITCHYARD_TEST_RESUMES === '1';
