/* SPDX-License-Identifier: MIT */
/*
 * Jobs: what a program started by QMP and asks about later.
 *
 *   created -> running        job_begin
 *   running -> waiting -> pending -> concluded    job_end without an error
 *   running -> aborting -> concluded              job_end with one
 *   concluded -> null         job-dismiss: forgotten
 *
 * Each step is told as JOB_STATUS_CHANGE.  An end is told from the main loop, so that it comes
 * behind the answer to the command that began the job.
 */
#pragma once

#include "core/machine.h"

typedef struct Job Job;

/* type is a literal: "snapshot-save".  NULL (err set) where the id is taken or no id. */
Job *job_begin(Machine *m, const char *type, const char *id, Error *err);
void job_end(Job *job, const Error *err);
