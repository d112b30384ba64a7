"""Defects of data-parallel training, mixed precision and the replayed step, each of which a test must notice."""

BATTERY = "tests/test_parallel.py::test_losses_gradients_and_validation_are_those_of_one_process"

DEFECTS = [
    (
        "the gathering keeps each process's own gradient",
        "inncli/nn/sharding.py",
        "return all_sum(arriving.clone())[ctx.own], None, None",
        "return arriving[ctx.own], None, None",
        BATTERY,
    ),
    (
        "gradients are not summed over the processes",
        "inncli/training/step.py",
        "        self.group.sum_gradients(self.parameters)\n",
        "",
        "tests/test_parallel.py::test_weights_keep_the_same_bits_in_every_process",
    ),
    (
        "noise inside a block is each process's own",
        "inncli/nn/sharding.py",
        "return draw(rows) if _inside is None else draw(_inside.rows)[_inside.own(_inside.rows)]",
        "return draw(rows)",
        "tests/test_parallel.py::test_estimates_inside_a_block_draw_what_one_process_draws",
    ),
    (
        "the place that is not finite is looked for in one process only",
        "inncli/training/step.py",
        "where = self.group.each(non_finite_layer(self.model, lambda: self.loss(batch, step)))",
        "where = [non_finite_layer(self.model, lambda: self.loss(batch, step))]",
        "tests/test_parallel.py::test_a_row_of_one_process_that_is_not_finite_ends_all_with_its_layer",
    ),
    (
        "subnets hand on their rounded dtype",
        "inncli/nn/autocast.py",
        "return forward(self, x, *rest).to(x.dtype)",
        "return forward(self, x, *rest)",
        "tests/test_precision.py::test_log_dets_stay_those_of_the_map_to_float32",
    ),
    (
        "a replayed step updates the weights by a gradient that is not finite",
        "inncli/training/cuda_graph.py",
        "        self.optimizer.found_inf = (~(loss.detach().isfinite() & norm.isfinite())).float()\n",
        "",
        "tests/test_precision.py::test_a_replayed_step_that_is_not_finite_leaves_the_weights_and_names_the_layer",
    ),
    (
        "a replayed step keeps the learning rate that it was recorded with",
        "inncli/training/cuda_graph.py",
        "        self.lr_place.fill_(self.lr)\n",
        "",
        "tests/test_precision.py::test_the_step_on_fixed_places_takes_the_plain_steps",
    ),
    (
        "a replayed step keeps the noise that it was recorded with",
        "inncli/training/cuda_graph.py",
        "        self.noise(step, self.generator)\n        self.replay()\n",
        "        self.replay()\n",
        "tests/test_precision.py::test_the_step_on_fixed_places_takes_the_plain_steps",
    ),
    (
        "the model reads back whether its columns are recorded",
        "inncli/models/preprocessing.py",
        "if not self.recorded:",
        "if not self.step.any():",
        "tests/test_precision.py::test_a_steady_step_asks_the_device_for_nothing",
    ),
]
