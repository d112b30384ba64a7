"""Defects of data-parallel training, mixed precision and the replayed step, each of which a test must notice."""

from defects._mutation import Defect

DEFECTS = [
    Defect(
        "the gathering keeps each process's own gradient",
        "inncli.nn.sharding:_Gather.backward",
        "return all_sum(arriving.clone())[ctx.own], None, None",
        "return arriving[ctx.own], None, None",
        "test_parallel::test_losses_gradients_and_validation_are_those_of_one_process",
    ),
    Defect(
        "gradients are not summed over the processes",
        "inncli.training.step:Step.gradient",
        "self.group.sum_gradients(self.parameters)",
        "",
        "test_parallel::test_weights_keep_the_same_bits_in_every_process",
    ),
    Defect(
        "noise inside a block is each process's own",
        "inncli.nn.sharding:draw_rows",
        "return draw(rows) if _inside is None else draw(_inside.rows)[_inside.own(_inside.rows)]",
        "return draw(rows)",
        "test_parallel::test_estimates_inside_a_block_draw_what_one_process_draws",
    ),
    Defect(
        "the place that is not finite is looked for in one process only",
        "inncli.training.step:Step.refuse",
        "found = self.group.each(non_finite_layer(self.model, lambda: self.loss(batch, step)))",
        "found = [non_finite_layer(self.model, lambda: self.loss(batch, step))]",
        "test_parallel::test_a_row_of_one_process_that_is_not_finite_ends_all_with_its_layer",
    ),
    Defect(
        "subnets hand on their rounded dtype",
        "inncli.nn.autocast:subnet",
        "return forward(self, x, *rest).to(x.dtype)",
        "return forward(self, x, *rest)",
        "test_precision::test_log_dets_stay_those_of_the_map_to_float32",
    ),
    Defect(
        "a replayed step updates the weights by a gradient that is not finite",
        "inncli.training.cuda_graph:GraphedStep._whole",
        "self.optimizer.found_inf = (~(loss.detach().isfinite() & norm.isfinite())).float()",
        "",
        "test_precision::test_a_replayed_step_that_is_not_finite_leaves_the_weights_and_names_the_layer",
    ),
    Defect(
        "a replayed step keeps the learning rate that it was recorded with",
        "inncli.training.cuda_graph:GraphedStep.__call__",
        "self.lr_place.fill_(self.lr)",
        "",
        "test_precision::test_the_step_on_fixed_places_takes_the_plain_steps",
    ),
    Defect(
        "a replayed step keeps the noise that it was recorded with",
        "inncli.training.cuda_graph:GraphedStep.__call__",
        "self.noise(step, self.generator)\nself.replay()",
        "self.replay()",
        "test_precision::test_the_step_on_fixed_places_takes_the_plain_steps",
    ),
    Defect(
        "the model reads back whether its columns are recorded",
        "inncli.models.preprocessing:Scaling.dequantise",
        "if not self.recorded:\n    return x.double()",
        "if not self.step.any():\n    return x.double()",
        "test_precision::test_a_steady_step_asks_the_device_for_nothing",
    ),
]
