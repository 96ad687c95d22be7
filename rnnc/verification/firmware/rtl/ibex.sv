/* SPDX-License-Identifier: 0BSD */
/* Ibex (lowRISC) with a memory of 16 MB at 0x80000000 that answers in the next cycle, for instructions and data at once.
 * THREE_STAGES: with the writeback stage and the ALU of branch targets. The multiplier takes one cycle; no instruction cache. */

/* What the technology would give: here it is plain. */
module prim_clock_gating #(parameter bit NoFpgaGate = 0, parameter bit FpgaBufGlobal = 1)
    (input clk_i, input en_i, input test_en_i, output logic clk_o);
    assign clk_o = clk_i;
endmodule

module prim_buf #(parameter int Width = 1) (input [Width-1:0] in_i, output logic [Width-1:0] out_o);
    assign out_o = in_i;
endmodule

module prim_and2 #(parameter int Width = 1)
    (input [Width-1:0] in0_i, input [Width-1:0] in1_i, output logic [Width-1:0] out_o);
    assign out_o = in0_i & in1_i;
endmodule

module prim_clock_mux2 #(parameter bit NoFpgaBufG = 0) (input clk0_i, input clk1_i, input sel_i, output logic clk_o);
    assign clk_o = sel_i ? clk1_i : clk0_i;
endmodule

module prim_flop #(parameter int Width = 1, parameter logic [Width-1:0] ResetValue = 0)
    (input clk_i, input rst_ni, input [Width-1:0] d_i, output logic [Width-1:0] q_o);
    always_ff @(posedge clk_i or negedge rst_ni)
        if (!rst_ni) q_o <= ResetValue;
        else q_o <= d_i;
endmodule

module top (input clk, input rst_n, output store, output [31:0] store_address, output [31:0] store_data);
`ifdef THREE_STAGES
    localparam bit Writeback = 1;
`else
    localparam bit Writeback = 0;
`endif
    logic [31:0] memory [0:4194303];
    initial $readmemh("image.hex", memory);

    logic fetch, fetched, access, answered, write;
    logic [3:0] lanes;
    logic [31:0] pc, instruction, address, stored, loaded;
    wire in_memory = address[31:24] == 8'h80;

    always_ff @(posedge clk) begin
        fetched <= fetch;
        answered <= access;
        /* Below the memory, where the core starts, at 0x80: lui t0, 0x80000; jr t0. */
        if (pc[31]) instruction <= memory[pc[23:2]];
        else instruction <= pc[2] ? 32'h00028067 : 32'h800002B7;
        loaded <= memory[address[23:2]];
        if (access && write && in_memory)
            for (int i = 0; i < 4; i++) if (lanes[i]) memory[address[23:2]][8*i +: 8] <= stored[8*i +: 8];
    end
    assign store = access & write & ~in_memory;
    assign store_address = address;
    assign store_data = stored;

    ibex_top #(.RV32M(ibex_pkg::RV32MSingleCycle), .RV32B(ibex_pkg::RV32BNone),
               .BranchTargetALU(Writeback), .WritebackStage(Writeback)) core (
        .clk_i(clk), .rst_ni(rst_n), .test_en_i(1'b0), .ram_cfg_i('0), .hart_id_i(0), .boot_addr_i(0),
        .instr_req_o(fetch), .instr_gnt_i(fetch), .instr_rvalid_i(fetched), .instr_addr_o(pc),
        .instr_rdata_i(instruction), .instr_rdata_intg_i(0), .instr_err_i(0),
        .data_req_o(access), .data_gnt_i(access), .data_rvalid_i(answered), .data_we_o(write), .data_be_o(lanes),
        .data_addr_o(address), .data_wdata_o(stored), .data_wdata_intg_o(), .data_rdata_i(loaded),
        .data_rdata_intg_i(0), .data_err_i(0),
        .irq_software_i(0), .irq_timer_i(0), .irq_external_i(0), .irq_fast_i(0), .irq_nm_i(0),
        .scramble_key_valid_i(0), .scramble_key_i(0), .scramble_nonce_i(0), .scramble_req_o(),
        .debug_req_i(0), .crash_dump_o(), .double_fault_seen_o(), .fetch_enable_i(ibex_pkg::IbexMuBiOn),
        .alert_minor_o(), .alert_major_internal_o(), .alert_major_bus_o(), .core_sleep_o(), .scan_rst_ni(rst_n));
endmodule
