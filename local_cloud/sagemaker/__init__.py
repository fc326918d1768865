"""SageMaker training jobs for the local cloud: the API, and real jobs as processes on emptied hosts.

Where things are: `service` (operations, registration in MiniStack), `validation` (service model), `rules` (what
SageMaker asks beyond it), `quotas` (Service Quotas tells them too), `authorisation` (callers and execution roles),
`job` (record and events), `lifecycle` (a job over its hosts), `host`, `container`, `inputs`, `checkpoints`, `log_pump`,
`metrics`, `archive`, `billing`, `listing`, `reaper` (nothing outlives the server), `stub_trainer` (a training of a
fraction of a second).

Decided here because AWS's documents leave it open or the hardware is missing:

* Times of events are numbers of milliseconds; AWS's published sample shows them as strings.
* Seconds and bill follow the rule in `billing`; MaxRuntimeInSeconds counts the same seconds.
* A failed job uploads its output/data, not its model. An empty model folder uploads nothing.
* An interruption waits for the checkpoint of its epoch to be in S3 (see `lifecycle`).
* Hyperparameter values are held to 256 characters as the reference says, not to the model's 2,500.
* Unknown request members are refused; AWS's front end drops them.
* Texts of refusals that are not on record are ours (see `rules`, `archive`); no logic should depend on them.

Not here: images (the entry point runs on this machine's training environment), more than one instance, instance
groups and preferences, training plans, warm pools, Pipe and FastFile input, manifests, file systems, VPCs, network
isolation (accepted and not enforced), KMS keys of volumes and outputs, debugger, profiler, experiments.
"""
