"""The messages that students read about each training test, by how it ended. Verdicts are decided elsewhere."""

from __future__ import annotations

from autograder.core.messages import seen_and_tip

FELL = "Held-out loss fell from {start:.2f} to {end:.2f} nats per token, {ratio:.2f} of its start."
SFT = {
    "passed": FELL,
    "unchanged": seen_and_tip(
        "The loop left the weights as they were.",
        "Check that it calls backward and the optimiser's step, and that the optimiser holds the model's parameters.",
    ),
    "rose": seen_and_tip(
        "Held-out loss did not fall: {start:.2f} before and {end:.2f} nats per token after training.",
        "Plot the losses of your steps: if they rise too, check zero_grad, clipping and the learning rate; if they "
        "fall, check what they are computed on.",
    ),
    "high": seen_and_tip(
        FELL + " It has to end below {threshold:.2f} of the start: the loop learns too little.",
        "Check the learning rate and warm-up, zero_grad, and that every epoch runs over all batches.",
    ),
    "unmasked": seen_and_tip(
        FELL + " But the model has also learned what it should not: to write prompts, or the padding behind an answer.",
        "Look at one batch's labels, and at which positions take part in the loss of your loop.",
    ),
}

RANKED = "The reward model ranks {accuracy:.1%} of {n} hidden pairs right (interval from {low:.1%})."
REWARD_MODEL = {
    "passed": RANKED,
    "unchanged": seen_and_tip(
        "The loop left the weights as they were.",
        "Check that it calls backward and the optimiser's step, and that the optimiser holds the parameters of body "
        "and head.",
    ),
    "style": seen_and_tip(
        RANKED + " But it does not prefer what the preferences of this run prefer: it was not trained on them.",
        "Train on the batches that the loop is given.",
    ),
    "question": seen_and_tip(
        RANKED + " But it hardly looks at the question: it does not prefer each of two answers after its own question.",
        "Give body and head the whole dialogue, prompt and reply, and train both.",
    ),
    "inverted": seen_and_tip(
        RANKED + " That is far below chance: chosen and rejected look swapped.",
        "Follow one pair by hand from the batch into the loss: which score is to become the higher one?",
    ),
    "low": seen_and_tip(
        RANKED + " The interval has to start above {threshold:.0%}.",
        "Check the order of chosen and rejected, which token is scored, and that body and head both learn.",
    ),
}

ROSE = "Reward on hidden prompts went from {before:.2f} to {after:.2f}, a gain of {gain:.2f}."
REWARD_TIP = "Train on the scores of the reward_fn that the loop is given."
PPO_REWARD = {
    "passed": ROSE,
    "unchanged": seen_and_tip(
        "The loop left the policy's weights as they were.",
        "Check that it calls backward and the optimiser's step, and that the optimiser holds the policy's parameters.",
    ),
    "low": seen_and_tip(
        ROSE + " It has to gain at least {threshold:g}.",
        "Check the sign of the policy loss, that advantages are whitened over response tokens only, and that old "
        "log-probabilities are stored once for each rollout.",
    ),
    "gold": seen_and_tip(
        ROSE + " But the true quality of the replies did not rise enough with it: the policy exploits the reward "
        "instead of answering better.",
        "Check the KL penalty, and read some replies.",
    ),
    "style": seen_and_tip(
        ROSE + " But its replies do not show what this run's reward pays for: the policy was not trained on it.",
        REWARD_TIP,
    ),
}
KL_VALUE = "The policy is {kl:.2f} nats per sequence away from SFT"
PPO_KL = {
    "passed": KL_VALUE + ", inside the range from {low:g} to {high:g}.",
    "small": seen_and_tip(
        KL_VALUE + "; at least {low:g} are expected of a policy that learned something.",
        "Check that scores reach the loss through the advantages, and that every rollout is used for all its epochs "
        "and minibatches.",
    ),
    "style": seen_and_tip(
        KL_VALUE + ", inside the range; but its replies do not show what this run's reward pays for, so that this "
        "is no result of training on it.",
        REWARD_TIP,
    ),
    "large": seen_and_tip(
        KL_VALUE + "; more than {high:g} means that the KL penalty did not hold it.",
        "Check the penalty's sign and beta, and that the reference stays as it was.",
    ),
}

SAMPLE_TIP = "Sample every policy's replies from its own `.lm`, to all prompts, with the decoding of the config."
COMPARISON = {
    "passed": "All fields of the four rows agree with what the grader computes from the replies; RLHF is above SFT.",
    "fields": seen_and_tip(
        "Not as recomputed from the replies that were returned: {fields}.",
        "Compute each field from the replies of its own row, as the docstring says; check two short replies by hand.",
    ),
    "atypical": seen_and_tip("The replies listed under {names} are not what that policy samples.", SAMPLE_TIP),
    "order": seen_and_tip("The RLHF policy is not above SFT in mean reward on these prompts.", SAMPLE_TIP),
}
